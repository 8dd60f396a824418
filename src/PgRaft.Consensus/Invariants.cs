// Raft's invariants, one named check each, with the place in Ongaro's thesis (2014) that says why
// everything else rests on it. Code asserts them where it would break them; fault runs check the
// same ones across members.
//
// A check costs comparisons of numbers the caller already has: no lock, no allocation, no clock.
// Threading: no state; the caller holds whatever keeps its arguments consistent.
// Failure: InvariantViolatedException, which ends the node. There is no way on: a node that knows
// its memory to be wrong must not vote, acknowledge or answer.
using System.Diagnostics.CodeAnalysis;

namespace PgRaft.Consensus;

/// <summary>What must hold at all times.</summary>
internal static class Invariants
{
    /// <summary>Election safety: at most one leader is elected in a term.</summary>
    /// <param name="nodeId">The node that has won <paramref name="term"/>.</param>
    /// <param name="term">The term.</param>
    /// <param name="knownLeader">Whom this node knows to lead it; 0 = nobody.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §3.4, figure 3.2.</remarks>
    public static void ElectionSafety(int nodeId, long term, int knownLeader)
    {
        if (knownLeader != 0 && knownLeader != nodeId)
        {
            Broken($"election safety: node {nodeId} won term {term}, in which node "
                + $"{knownLeader} leads");
        }
    }

    /// <summary>
    /// Leader append-only: in the term it leads, a leader takes no entries from others, so it never
    /// overwrites or deletes its own.
    /// </summary>
    /// <param name="appendedTerm">Term in which this node last appended as the leader; 0 =
    /// none.</param>
    /// <param name="currentTerm">Term in which entries of another leader arrived.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §3.5, figure 3.2.</remarks>
    public static void LeaderAppendOnly(long appendedTerm, long currentTerm)
    {
        if (appendedTerm != 0 && appendedTerm >= currentTerm)
        {
            Broken($"leader append-only: entries of another leader arrived in term {currentTerm}, "
                + $"while this node has appended as the leader of term {appendedTerm}");
        }
    }

    /// <summary>
    /// Log matching, on disk: terms never decrease with the index, so that an entry's predecessors
    /// are those its leader had.
    /// </summary>
    /// <param name="index">Index of an entry to be added.</param>
    /// <param name="term">Its term.</param>
    /// <param name="previousTerm">Term of the entry before it.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §3.5.</remarks>
    public static void TermsInOrder(long index, long term, long previousTerm)
    {
        if (term < previousTerm)
        {
            Broken($"log matching: entry {index} of term {term} after one of term {previousTerm}");
        }
    }

    /// <summary>
    /// Log matching, between members: after an append was accepted, the entry before it is the one
    /// that the leader has there.
    /// </summary>
    /// <param name="index">Index of the entry before the accepted ones.</param>
    /// <param name="leaderTerm">Its term on the leader.</param>
    /// <param name="localTerm">Its term here; negative = covered by a snapshot.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §3.5.</remarks>
    public static void LogMatching(long index, long leaderTerm, long localTerm)
    {
        if (localTerm >= 0 && localTerm != leaderTerm)
        {
            Broken($"log matching: entry {index} has term {leaderTerm} on the leader and "
                + $"{localTerm} here, yet what follows it was accepted");
        }
    }

    /// <summary>
    /// Leader completeness: a later leader has every committed entry, so what it sends never
    /// contradicts one.
    /// </summary>
    /// <param name="index">Index of an entry that is committed here.</param>
    /// <param name="committedTerm">Its term here; negative = covered by a snapshot.</param>
    /// <param name="leaderTerm">Its term on the leader that sent it.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §3.6.</remarks>
    public static void LeaderCompleteness(long index, long committedTerm, long leaderTerm)
    {
        if (committedTerm >= 0 && committedTerm != leaderTerm)
        {
            Broken($"leader completeness: a leader sent entry {index} of term {leaderTerm}, but "
                + $"here it is committed with term {committedTerm}");
        }
    }

    /// <summary>
    /// State machine safety: entries are applied once each, in order, and only when committed.
    /// </summary>
    /// <param name="appliedIndex">Last index applied.</param>
    /// <param name="index">Index about to be applied.</param>
    /// <param name="commitIndex">Highest index known committed.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §3.6.3, figure 3.2.</remarks>
    public static void StateMachineSafety(long appliedIndex, long index, long commitIndex)
    {
        if (index != appliedIndex + 1 || index > commitIndex)
        {
            Broken($"state machine safety: entry {index} is to be applied after entry "
                + $"{appliedIndex}, with {commitIndex} committed");
        }
    }

    /// <summary>Commit monotonic: what is committed stays committed.</summary>
    /// <param name="before">Commit index until now.</param>
    /// <param name="after">Commit index from now on.</param>
    /// <remarks><i>Source</i>: Ongaro 2014, figure 3.1 ("increases monotonically").</remarks>
    public static void CommitMonotonic(long before, long after)
    {
        if (after < before)
        {
            Broken($"commit monotonic: the commit index would go from {before} back to {after}");
        }
    }

    /// <summary>One vote per term, and terms never go back.</summary>
    /// <param name="term">Term on disk.</param>
    /// <param name="votedFor">Vote on disk; 0 = none.</param>
    /// <param name="nextTerm">Term to be stored.</param>
    /// <param name="nextVote">Vote to be stored; 0 = none.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §3.4, figure 3.1.</remarks>
    public static void OneVotePerTerm(long term, int votedFor, long nextTerm, int nextVote)
    {
        if (nextTerm < term)
        {
            Broken($"one vote per term: term {nextTerm} would be stored after term {term}");
        }

        if (nextTerm == term && votedFor != 0 && nextVote != votedFor)
        {
            Broken($"one vote per term: the vote in term {term} would change from {votedFor} to "
                + $"{nextVote}");
        }
    }

    /// <summary>
    /// Durability before acknowledgement: an entry is on this node's disk before the node counts it
    /// as committed or tells a leader that it has it.
    /// </summary>
    /// <param name="index">Index about to be acknowledged or counted.</param>
    /// <param name="durableIndex">Index up to which everything is on disk.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §3.8 and §10.2.1.</remarks>
    public static void DurabilityBeforeAcknowledgement(long index, long durableIndex)
    {
        if (index > durableIndex)
        {
            Broken($"durability before acknowledgement: entry {index} counts, but only entries up "
                + $"to {durableIndex} are on disk");
        }
    }

    /// <summary>
    /// Lease exclusivity: who holds the lease gives no vote, so that nobody else can be elected.
    /// </summary>
    /// <param name="holdsLease">Whether this node holds the lease.</param>
    /// <param name="voted">Whether it is about to tell another that it has its vote.</param>
    /// <param name="term">The term of the vote.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §6.4.1.</remarks>
    public static void LeaseExclusivity(bool holdsLease, bool voted, long term)
    {
        if (holdsLease && voted)
        {
            Broken($"lease exclusivity: a vote in term {term} from the node that holds the lease");
        }
    }

    /// <summary>
    /// Lease before consent: a leader lets another member stand, and voters forget their faith in
    /// the leader for it, only after it has given up the lease of its term for good.
    /// </summary>
    /// <param name="term">The term whose leader consents.</param>
    /// <param name="cededTerm">Newest term whose lease it has given up.</param>
    /// <param name="leaseNs">End of the lease it holds; 0 = none.</param>
    /// <remarks><i>Source</i>: Ongaro 2014 §4.2.3 and §6.4.1.</remarks>
    public static void LeaseBeforeConsent(long term, long cededTerm, long leaseNs)
    {
        if (cededTerm < term || leaseNs != 0)
        {
            Broken($"lease before consent: the leader of term {term} lets another stand with a "
                + $"lease until {leaseNs}, having given up those up to term {cededTerm}");
        }
    }

    [DoesNotReturn]
    private static void Broken(string what) => throw new InvariantViolatedException(what);
}
