// Whether a majority is there, where this node can tell without asking: the two facts that status
// readers cannot get from the lease and from the leader's contact.
//
// True needs nothing more: a leader's lease is a majority's answers, and a leader that a follower
// hears steps down when a majority has not answered it for an election timeout. False needs that
// this node asked everybody, as a candidate does, and that too few answered. All else is unknown.
// Both facts carry their end, so that what a stopped process has left in memory runs out by itself.
// Threading: any thread; each fact is one atomic write. Failure: none.
namespace PgRaft.Consensus.Leadership;

/// <summary>What this node knows of the majority.</summary>
internal sealed class QuorumView(int electionTimeoutMs, TimeProvider clock)
{
    // A candidate asks again within two election timeouts and the time of a vote.
    private const int TimeoutsUntilForgotten = 4;
    private const int Unknown = -1;
    private long _lostUntilNs;
    private int _live = Unknown;

    /// <summary>Until when it counts that too few members answered this node, which had asked
    /// all; 0 = not known.</summary>
    public long LostUntilNs => Volatile.Read(ref _lostUntilNs);

    /// <summary>Members that answered lately, this node included; null = it does not ask all of
    /// them.</summary>
    public int? Live => Volatile.Read(ref _live) is var live and not Unknown ? live : null;

    /// <summary>This node leads, and so many members answer.</summary>
    public void Leads(int live)
    {
        Volatile.Write(ref _lostUntilNs, 0);
        Volatile.Write(ref _live, live);
    }

    /// <summary>Another member leads.</summary>
    public void Follows()
    {
        Volatile.Write(ref _lostUntilNs, 0);
        Volatile.Write(ref _live, Unknown);
    }

    /// <summary>This node asked for votes.</summary>
    /// <param name="members">All voters.</param>
    /// <param name="unreachable">Those that did not answer when last asked, just now.</param>
    /// <param name="live">Those that answered lately, this node included.</param>
    public void Asked(int members, int unreachable, int live)
    {
        bool isLost = members - unreachable < (members / 2) + 1;
        long until = LeaderLease.ToNs(clock.GetTimestamp())
            + (TimeoutsUntilForgotten * electionTimeoutMs * 1_000_000L);
        Volatile.Write(ref _live, live);
        Volatile.Write(ref _lostUntilNs, isLost ? until : 0);
    }
}
