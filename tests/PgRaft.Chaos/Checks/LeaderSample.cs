// One look at one member: whether it held the leader lease, in which term, and whom it took for
// the leader. Times are the server's own, taken in the same statement before and after, so that an
// answer of a frozen server counts when it was produced. All servers have one machine's clock.
//
// Threading: immutable. Failure: none.

namespace PgRaft.Chaos.Checks;

/// <param name="NodeId">The member that was asked.</param>
/// <param name="Before">Microseconds; the answer was not produced earlier.</param>
/// <param name="After">Microseconds; nor later.</param>
/// <param name="IsLeader">pgraft_is_leader().</param>
/// <param name="Term">Term before; equal to the one after, or the sample is of no use.</param>
/// <param name="Leader">The leader of the term, 0 when it knows none.</param>
internal readonly record struct LeaderSample(
    int NodeId, long Before, long After, bool IsLeader, long Term, long Leader);
