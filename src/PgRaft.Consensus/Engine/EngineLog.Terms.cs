// Term and vote, as the engine keeps them: on disk before anybody is answered.
//
// Threading: any thread; _gate orders the changes, and is held over the sync, for which the
// engine's thread is left: it is one of the pool, or the one that serves all sockets.
// Failure: as EngineLog.
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;

namespace PgRaft.Consensus.Engine;

internal sealed partial class EngineLog
{
    bool IPersistentState.IsVotedFor(in ClusterMemberId id) =>
        _terms.VotedFor == 0 || _terms.VotedFor == MemberId.ToNodeId(id);

    async ValueTask<long> IPersistentState.IncrementTermAsync(
        ClusterMemberId member, CancellationToken token)
    {
        await OwnThread.Begin();
        long term;
        lock (_gate)
        {
            term = _terms.Term + 1;
            SaveTerm(term, MemberId.ToNodeId(member));
            Elections++;
        }

        Changed?.Invoke();
        return term;
    }

    ValueTask IPersistentState.UpdateTermAsync(
        long term, bool resetLastVote, CancellationToken token) => ObserveTermAsync(term);

    async ValueTask IPersistentState.UpdateVotedForAsync(
        ClusterMemberId member, CancellationToken token)
    {
        await OwnThread.Begin();
        lock (_gate)
        {
            int nodeId = MemberId.ToNodeId(member);
            if (_terms.VotedFor != nodeId)
            {
                SaveTerm(_terms.Term, nodeId);
            }
        }
    }

    /// <summary>As <see cref="ObserveTerm"/>, from a thread that must not block.</summary>
    public async ValueTask ObserveTermAsync(long term)
    {
        if (term > _terms.Term)
        {
            await OwnThread.Begin();
            ObserveTerm(term);
        }
    }

    /// <summary>
    /// Moves to a later term, durably, without a vote; does nothing for an earlier one.
    /// </summary>
    public void ObserveTerm(long term)
    {
        lock (_gate)
        {
            if (term <= _terms.Term)
            {
                return;
            }

            SaveTerm(term, 0);
        }

        Changed?.Invoke();
    }

    /// <summary>Makes durable for how long this voter keeps faith with a leader.</summary>
    public async ValueTask KeepFaithAsync(int faithMs)
    {
        if (faithMs != _terms.FaithMs)
        {
            await OwnThread.Begin();
            _terms.KeepFaith(faithMs);
        }
    }

    // Hazard 33: the engine gives up its role for good when a term cannot be saved, and says so in
    // a line of its log only. So the node ends instead, and starts again. Called with _gate held.
    private void SaveTerm(long term, int votedFor)
    {
        try
        {
            _terms.Save(term, votedFor);
        }
        catch (Exception e)
        {
            Failed?.Invoke(e);
            throw;
        }

        Retention.EndAll();
    }
}
