// The two ways in which a log begins again: as this node's alone, and after a snapshot that came
// from a backup. No engine runs meanwhile.
// Threading: one caller at a time; _gate keeps out what is left of peers' requests. Failure: a
// storage error is final and ends the node.
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Engine;

internal sealed partial class EngineLog
{
    /// <summary>
    /// Makes this node the only member from the next index on, in a new term, while no engine
    /// runs. One record is the whole change: a crash leaves the old configuration or the new one.
    /// What the log holds is kept, known committed or not.
    /// </summary>
    public async Task BeginAloneAsync(int nodeId, long term, Configuration alone)
    {
        long index;
        await OwnThread.Begin();
        lock (_gate)
        {
            SaveTerm(term, nodeId);
            index = AppendOwn(term, EntryKind.Configuration, alone.Bytes.Span);
            _configurations.Append(index, term, alone);
        }

        await _log.WaitDurableAsync(index).ConfigureAwait(false);
    }

    /// <summary>
    /// Goes on after a snapshot that has just become current, while no engine runs.
    /// </summary>
    public void AdoptCurrentSnapshot()
    {
        lock (_gate)
        {
            AdoptSnapshot(_snapshots.Current!.Index, _snapshots.Current.Term);
        }

        _commitWaiters.Reached(CommitIndex);
    }
}
