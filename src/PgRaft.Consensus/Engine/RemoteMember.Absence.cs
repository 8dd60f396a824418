// A voter that has not answered for a whole deadline is away: until it can be connected to again,
// no round waits for it.
//
// Hazard 44: the engine queues rounds behind a member and works them off one by one; each would
// take an append's deadline. A round that needs this member's word, because another one is slow or
// lost, would wait for that queue, for minutes, and meanwhile no other round would begin: no
// heartbeat, and no end to a leadership without a majority.
// Threading: any thread. Failure: MemberUnavailableException.
using DotNext.Net.Cluster;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Engine;

internal sealed partial class RemoteMember
{
    private long _awayTerm;
    private int _looking;

    // Of one term: whoever wins an election begins without prejudice.
    private void RequireThere(long term)
    {
        if (Volatile.Read(ref _awayTerm) != term)
        {
            return;
        }

        if (Interlocked.Exchange(ref _looking, 1) == 0)
        {
            _ = LookAsync(term);
        }

        throw new MemberUnavailableException(this, "it did not answer, and is not back yet");
    }

    // No round waits for one that is still to join, and the first one that does must not be without
    // it.
    private void Missed(long term)
    {
        // One that installs a snapshot may be silent for long.
        if (Volatile.Read(ref _transfer) is null)
        {
            NeedsNoEntries();
        }

        if (host.IsVoter(Address.NodeId))
        {
            Volatile.Write(ref _awayTerm, term);
        }
    }

    private async Task LookAsync(long term)
    {
        using var limit = new CancellationTokenSource(AppendTimeout);
        try
        {
            await peer.Consensus.MendAsync(limit.Token).ConfigureAwait(false);
            Interlocked.CompareExchange(ref _awayTerm, 0, term);
            host.ReplicateAgain();
        }
        catch (Exception e) when (e is PeerUnavailableException or OperationCanceledException)
        {
            peer.Contact.AttemptFailed();

            // A pause between dials, not a wait for an event: a refused port answers at once.
            await Task.Delay(RetryPause).ConfigureAwait(false);
        }
        finally
        {
            Volatile.Write(ref _looking, 0);
        }
    }
}
