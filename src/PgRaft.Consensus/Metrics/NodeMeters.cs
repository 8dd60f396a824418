// What a node counts and times, beside what its status says.
// Threading: any thread, lock-free. Failure: none.
namespace PgRaft.Consensus.Metrics;

/// <summary>A number that only grows.</summary>
public sealed class Meter
{
    private long _value;

    /// <summary>Its value now.</summary>
    public long Value => Interlocked.Read(ref _value);

    /// <summary>Adds to it.</summary>
    public void Add(long amount) => Interlocked.Add(ref _value, amount);

    /// <summary>Adds one.</summary>
    public void Increment() => Interlocked.Increment(ref _value);
}

/// <summary>The counts and times of one node since its start.</summary>
public sealed class NodeMeters
{
    /// <summary>A sync of the log.</summary>
    public LatencyHistogram LogSync { get; } = new();

    /// <summary>A batch of committed entries applied to the state machine.</summary>
    public LatencyHistogram Apply { get; } = new();

    /// <summary>A snapshot of this node's own state, written and durable.</summary>
    public LatencyHistogram SnapshotWrite { get; } = new();

    /// <summary>A proposal on the leader, from its arrival to its application there.</summary>
    public LatencyHistogram Proposal { get; } = new();

    /// <summary>An append with entries, from its sending to the member's answer.</summary>
    public LatencyHistogram Replication { get; } = new();

    /// <summary>Bytes of entries written to the log, replacements included.</summary>
    public Meter LogWrittenBytes { get; } = new();

    /// <summary>Bytes sent on connections between members, either side's.</summary>
    public Meter PeerSentBytes { get; } = new();

    /// <summary>Bytes received on connections between members, either side's.</summary>
    public Meter PeerReceivedBytes { get; } = new();

    /// <summary>Proposals that were applied.</summary>
    public Meter ProposalsApplied { get; } = new();

    /// <summary>Proposals that certainly were not done.</summary>
    public Meter ProposalsRefused { get; } = new();

    /// <summary>Proposals whose outcome the node could not tell.</summary>
    public Meter ProposalsUnknown { get; } = new();

    /// <summary>Changes of role, term or leader that were noticed.</summary>
    public Meter RoleChanges { get; } = new();

    /// <summary>Elections this node won.</summary>
    public Meter ElectionsWon { get; } = new();

    /// <summary>Times this node's leadership ended.</summary>
    public Meter LeadershipsLost { get; } = new();

    /// <summary>Times the lease had run out before it was renewed, or when leadership ended.
    /// </summary>
    public Meter LeaseExpirations { get; } = new();

    /// <summary>Snapshots of a leader that were installed.</summary>
    public Meter SnapshotsInstalled { get; } = new();

    /// <summary>Snapshots that were not written for want of room.</summary>
    public Meter SnapshotFailures { get; } = new();
}
