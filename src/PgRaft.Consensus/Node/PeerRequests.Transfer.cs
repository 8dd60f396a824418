// Both sides of an election that the leader itself has asked for (RaftNode.Transfer.cs): who
// stands, and who votes without waiting for the leader to fall silent.
// Threading and failure: as the rest of the class.
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Node;

internal sealed partial class PeerRequests
{
    // Answered before the election begins: the leader wants to know only whether to wait for it.
    private ValueTask TimeoutNow(int sender, BodyReader body, FrameWriter answer)
    {
        long term = body.Int64();
        long lastIndex = body.Int64();
        bool stands = term == node.Log.Term && sender == node.View.LeaderOf(term)
            && node.HasUpTo(lastIndex);
        if (stands)
        {
            node.StandSoon(term, sender);
        }

        answer.Int64(node.Log.Term).Byte(stands ? (byte)1 : (byte)0);
        return ValueTask.CompletedTask;
    }

    /// <summary>Makes this node stand for the election after a term whose leader has consented;
    /// returns once the election has begun, or did not.</summary>
    /// <remarks>
    /// Hazard 41: meanwhile no append is taken and no vote given. A heartbeat of the old leader
    /// would make the engine stay a follower.
    /// </remarks>
    public async Task StandAsync(long term, TimeSpan limit, CancellationToken stopping)
    {
        await _turn.WaitAsync(stopping).ConfigureAwait(false);
        try
        {
            if (node.Log.Term == term)
            {
                await node.Engine.StepDownAsync(CancellationToken.None).ConfigureAwait(false);
                await node.Engine.StandAsync().ConfigureAwait(false);
                await node.WaitTermAfterAsync(term, limit).ConfigureAwait(false);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    // Whether the leader of the term before this election has consented to it, so that nobody need
    // keep faith with it. Before it did, it gave up its lease of that term for good: a consent that
    // arrives late, or twice, concerns an election of which no lease is left to protect, and it is
    // good for that election alone. A lease of any later term was acknowledged by a majority that
    // votes in that term's election or in later ones only. So it does not matter whom this node has
    // heard, and whether it remembers (docs/adr/0007-lease-given-up-before-a-transfer.md). What it
    // has voted it must remember all the same.
    // Source: Ongaro 2014 §4.2.3.
    private bool LetThrough(long term, long consentTerm) =>
        consentTerm != 0 && consentTerm == term - 1 && !node.HoldsLease
        && node.Membership.GivesVotes;

    // Hazard 42: the leader that has consented votes as well; the engine would not while it leads.
    private async ValueTask<bool> StandAsideAsync(long term)
    {
        if (node.Log.Term < term)
        {
            await node.Engine.StepDownAsync(CancellationToken.None).ConfigureAwait(false);
        }

        EnginePrivates.ForgetLeaderContact(node.Engine);
        return true;
    }
}
