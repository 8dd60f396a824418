// Whether a majority is there, where this node can tell without asking: the two facts that status
// readers cannot get from the lease and from the leader's contact.
//
// True needs nothing more: a leader's lease is a majority's answers, and a leader that a follower
// hears steps down when a majority has not answered it for an election timeout. False needs that
// this node asked everybody, as a candidate does, and that too few answered. All else is unknown.
// Both facts carry their end, so that what a stopped process has left in memory runs out by itself.
// Threading: any thread; each fact is one atomic write. Failure: none.
namespace PgRaft.Consensus.Leadership;

/// <summary>Who is alive, where this node asks everybody.</summary>
/// <param name="NodeIds">Members that answered lately, this node included, in order.</param>
/// <param name="SinceNs">When it was last found that these do and no others.</param>
internal sealed record LiveSet(int[] NodeIds, long SinceNs);

/// <summary>What this node knows of the majority.</summary>
internal sealed class QuorumView(int electionTimeoutMs, TimeProvider clock)
{
    // A candidate asks again within two election timeouts and the time of a vote.
    private const int TimeoutsUntilForgotten = 4;
    private readonly Lock _gate = new();
    private long _lostUntilNs;
    private LiveSet? _live;

    /// <summary>Until when it counts that too few members answered this node, which had asked
    /// all; 0 = not known.</summary>
    public long LostUntilNs => Volatile.Read(ref _lostUntilNs);

    /// <summary>Members that answered lately; null = this node does not ask all of them.</summary>
    public LiveSet? Live => Volatile.Read(ref _live);

    /// <summary>This node leads.</summary>
    /// <param name="live">Those that answered lately, this node included, in order.</param>
    public void Leads(ReadOnlySpan<int> live)
    {
        Volatile.Write(ref _lostUntilNs, 0);
        Note(live);
    }

    /// <summary>Another member leads.</summary>
    public void Follows()
    {
        Volatile.Write(ref _lostUntilNs, 0);
        lock (_gate)
        {
            Volatile.Write(ref _live, null);
        }
    }

    /// <summary>This node asked for votes.</summary>
    /// <param name="members">All voters.</param>
    /// <param name="unreachable">Those that did not answer when last asked, just now.</param>
    /// <param name="live">Those that answered lately, this node included, in order.</param>
    public void Asked(int members, int unreachable, ReadOnlySpan<int> live)
    {
        bool isLost = members - unreachable < (members / 2) + 1;
        long until = LeaderLease.ToNs(clock.GetTimestamp())
            + (TimeoutsUntilForgotten * electionTimeoutMs * 1_000_000L);
        Note(live);
        Volatile.Write(ref _lostUntilNs, isLost ? until : 0);
    }

    private void Note(ReadOnlySpan<int> live)
    {
        lock (_gate)
        {
            if (_live is null || !live.SequenceEqual(_live.NodeIds))
            {
                long now = LeaderLease.ToNs(clock.GetTimestamp());
                Volatile.Write(ref _live, new LiveSet(live.ToArray(), now));
            }
        }
    }
}
