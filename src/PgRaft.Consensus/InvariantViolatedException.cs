namespace PgRaft.Consensus;

/// <summary>
/// A Raft invariant does not hold. There is no way on: the node stops rather than guess.
/// </summary>
internal sealed class InvariantViolatedException(string what)
    : Exception($"broken invariant: {what}");
