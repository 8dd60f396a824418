// What a node is told of its own membership, and what it does not take before it is told
// (hazard 43).
// Threading: as the rest; an invitation takes turns with votes. Failure: as the rest.
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Node;

internal sealed partial class PeerRequests
{
    // Hazard 43: what an emptied data_dir acknowledges counts for what it had before. Who has an
    // old configuration may still take this node for a member.
    private void RequireMembership(int sender)
    {
        if (!node.Membership.TakesEntries)
        {
            throw new InvalidDataException(
                $"node {sender} takes this node for a member, but it is none: it was removed, or "
                + "its pgraft.data_dir was emptied; remove it on the leader and add it again");
        }
    }

    // Takes turns with votes: one that is under way has been judged by the old notice.
    private async ValueTask JoinAsync(
        int sender, BodyReader body, FrameWriter answer, CancellationToken token)
    {
        long term = body.Int64();
        long lastIndex = body.Int64();
        bool accepted = false;
        RefuseSecondLeader(sender, term);
        await _turn.WaitAsync(token).ConfigureAwait(false);
        try
        {
            if (term >= node.Log.Term)
            {
                await node.Log.ObserveTermAsync(term).ConfigureAwait(false);
                await OwnThread.Begin();
                accepted = node.Membership.Join(lastIndex);
            }
        }
        finally
        {
            _turn.Release();
        }

        await node.Membership.SettleAsync(token).ConfigureAwait(false);
        answer.Int64(node.Log.Term).Byte(accepted ? (byte)1 : (byte)0);
    }

    private async ValueTask RemovedAsync(int sender, BodyReader body, FrameWriter answer)
    {
        await node.LearnRemovalAsync(body.Int64(), sender).ConfigureAwait(false);
        answer.Int64(node.Log.Term);
    }
}
