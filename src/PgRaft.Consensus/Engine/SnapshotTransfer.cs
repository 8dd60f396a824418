// A snapshot on its way to one member, beside the engine's rounds.
//
// Why it is hard: the engine would wait for the whole transfer inside a round, and meanwhile a
// round that misses another member has no end: no heartbeat, no commit (hazard 35). So a round only
// looks whether the transfer goes on, and the transfer ends with the leadership it belongs to.
// Threading: one task sends, one round at a time looks; Dispose from any thread. Failure: a peer
// that does not answer ends it; who looks is told.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Engine;

/// <summary>One running or finished transfer.</summary>
internal sealed class SnapshotTransfer : IDisposable
{
    private readonly Peer _peer;
    private readonly IMemberHost _host;
    private readonly CancellationTokenSource _cancelled = new();
    private TaskCompletionSource _advanced = NewSignal();
    private long _advancedAt = Environment.TickCount64;

    /// <summary>Begins to send the newest snapshot, as the leader of a term.</summary>
    public SnapshotTransfer(Peer peer, IMemberHost host, long term)
    {
        _peer = peer;
        _host = host;
        Term = term;
        Stream content = host.Log.OpenSnapshot(out SnapshotInfo info);
        Index = info.Index;
        peer.Contact.SendingSnapshot = true;
        Completion = Task.Run(() => SendAsync(content, info.Term));

        // Nobody looks at it again when leadership ends meanwhile.
        Completion.Observe();
    }

    /// <summary>The term it is sent in.</summary>
    public long Term { get; }

    /// <summary>Last index the snapshot covers.</summary>
    public long Index { get; }

    /// <summary>The receiver's word on the installation, or why there is none.</summary>
    public Task<Result<HeartbeatResult>> Completion { get; }

    /// <summary>Whether a piece was acknowledged, or it was begun, within a time.</summary>
    public bool AdvancedWithin(TimeSpan time) =>
        Environment.TickCount64 - Volatile.Read(ref _advancedAt) < (long)time.TotalMilliseconds;

    /// <summary>Waits until another piece was acknowledged or the transfer is over.</summary>
    /// <returns>False when neither happened in time.</returns>
    public async Task<bool> AdvancesAsync(TimeSpan limit, CancellationToken token)
    {
        try
        {
            await Task.WhenAny(Volatile.Read(ref _advanced).Task, Completion)
                .WaitAsync(limit, token).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Ends it if it is still running; does not wait.</summary>
    public void Dispose() => _cancelled.Cancel();

    private static TaskCompletionSource NewSignal() =>
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task<Result<HeartbeatResult>> SendAsync(Stream content, long snapshotTerm)
    {
        await using (content.ConfigureAwait(false))
        {
            try
            {
                var outgoing = new OutgoingSnapshot(Index, snapshotTerm, content);
                var sender = new SnapshotSender(_peer, _host, Term, outgoing, Advance);
                return await sender.SendAsync(_cancelled.Token).ConfigureAwait(false);
            }
            finally
            {
                _peer.Contact.SendingSnapshot = false;
            }
        }
    }

    private void Advance()
    {
        Volatile.Write(ref _advancedAt, Environment.TickCount64);
        Interlocked.Exchange(ref _advanced, NewSignal()).TrySetResult();
    }
}
