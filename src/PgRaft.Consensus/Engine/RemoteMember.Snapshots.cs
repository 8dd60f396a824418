// A peer that gets a snapshot: each round looks how the transfer beside it goes. The entries after
// the snapshot are kept from the transfer's beginning until the peer has them or is missed.
//
// Threading: one task at a time replicates to a member; cancelling from any thread.
// Failure: MemberUnavailableException.
using DotNext.IO;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Engine;

internal sealed partial class RemoteMember
{
    private SnapshotTransfer? _transfer;
    private LogRetention.Hold? _entriesAfterIt;

    /// <inheritdoc/>
    public override async Task<Result<HeartbeatResult>> InstallSnapshotAsync(
        long term, IRaftLogEntry snapshot, long snapshotIndex, IDataTransferObject configuration,
        long configurationVersion, CancellationToken token)
    {
        RequireThere(term);
        Enter();
        try
        {
            var transfer = TransferOf(term);
            if (!transfer.Completion.IsCompleted && host.IsVoter(Address.NodeId)
                && transfer.AdvancedWithin(AppendTimeout))
            {
                // Not even for the next piece: rounds come faster than those, wait for one another
                // in the engine, and the one in which this member counts would come last.
                return Unchanged(term);
            }

            if (!await transfer.AdvancesAsync(AppendTimeout, token).ConfigureAwait(false))
            {
                throw new MemberUnavailableException(this, "it does not go on taking the snapshot");
            }

            return transfer.Completion.IsCompleted
                ? await EndTransferAsync(transfer, token).ConfigureAwait(false)
                : Unchanged(term);
        }
        catch (MemberUnavailableException)
        {
            Missed(term);
            throw;
        }
        finally
        {
            Leave();
        }
    }

    /// <inheritdoc/>
    public override ValueTask CancelPendingRequestsAsync()
    {
        EndSnapshot();
        return ValueTask.CompletedTask;
    }

    private void EndSnapshot()
    {
        Interlocked.Exchange(ref _transfer, null)?.Dispose();
        NeedsNoEntries();
    }

    // The entries that follow the snapshot may go.
    private void NeedsNoEntries() => Interlocked.Exchange(ref _entriesAfterIt, null)?.Dispose();

    // The one under way, or a new one. One task at a time replicates to a member.
    private SnapshotTransfer TransferOf(long term)
    {
        var running = Volatile.Read(ref _transfer);
        if (running?.Term == term)
        {
            return running;
        }

        var transfer = new SnapshotTransfer(peer, host, term);
        var hold = host.Log.Retention.Keep(transfer.Index + 1);
        Interlocked.Exchange(ref _entriesAfterIt, hold)?.Dispose();
        Interlocked.Exchange(ref _transfer, transfer)?.Dispose();
        return transfer;
    }

    private async Task<Result<HeartbeatResult>> EndTransferAsync(
        SnapshotTransfer transfer, CancellationToken token)
    {
        Interlocked.CompareExchange(ref _transfer, null, transfer);
        Result<HeartbeatResult> result;
        try
        {
            result = await transfer.Completion.ConfigureAwait(false);
        }
        catch (Exception e) when (e is PeerUnavailableException or OperationCanceledException)
        {
            peer.Contact.AttemptFailed();

            // A refused port answers at once, and the engine asks again at once.
            await Task.Delay(RetryPause, token).ConfigureAwait(false);
            throw new MemberUnavailableException(this, e.Message, e);
        }

        if (result.Term > transfer.Term)
        {
            return result;
        }

        if (result.Value is HeartbeatResult.Replicated)
        {
            peer.Contact.Matched(transfer.Term, transfer.Index);
            BeginAt(transfer.Index + 1);
            host.ReplicateAgain();
        }

        return Unchanged(transfer.Term);
    }

    // To the engine: it is there, it counts for nothing new (hazard 4), and its next index stays.
    private static Result<HeartbeatResult> Unchanged(long term) => new()
    {
        Term = term,
        Value = HeartbeatResult.UnsupportedVersion,
    };
}
