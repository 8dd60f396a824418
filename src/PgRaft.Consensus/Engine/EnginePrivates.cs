// The one place that reaches into the engine's private state.
//
// Threading: as the fields: read and written by any thread. Failure: a version of the engine
// without one of them is refused at start with MissingFieldException (Check), not at the first
// election.
using System.Runtime.CompilerServices;
using DotNext.Diagnostics;
using DotNext.Net.Cluster.Consensus.Raft;

namespace PgRaft.Consensus.Engine;

/// <summary>Access to fields of DotNext.Net.Cluster 6.12.0 that have no public way.</summary>
internal static class EnginePrivates
{
    /// <summary>Fails if the engine is not the one this was written for.</summary>
    public static void Check(RaftCluster<Member> engine)
    {
        _ = LastUpdated(engine);
        _ = ElectionTimeout(engine);
    }

    /// <summary>Makes the engine consider a leader's last sign of life long past.</summary>
    public static void ForgetLeaderContact(RaftCluster<Member> engine) =>
        LastUpdated(engine) = default;

    /// <summary>
    /// How long the engine waits for a leader as a follower that begins to wait now, and for votes
    /// as a candidate, in ms; until the next election that is not won.
    /// </summary>
    public static ref int ElectionTimeoutMs(RaftCluster<Member> engine) =>
        ref ElectionTimeout(engine);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "lastUpdated")]
    private static extern ref Timestamp LastUpdated(RaftCluster<Member> engine);

    // Volatile in the engine, which the accessor's type cannot say: use Volatile.
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "electionTimeout")]
    private static extern ref int ElectionTimeout(RaftCluster<Member> engine);
}
