using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Transport;
using PgRaft.Core;

namespace PgRaft.Consensus;

/// <summary>Who a member is and where peers reach it.</summary>
/// <param name="NodeId">1..65535, unique in a cluster.</param>
/// <param name="Host">Host name or IP address.</param>
/// <param name="Port">TCP port, 1..65535.</param>
public sealed record MemberAddress(int NodeId, string Host, int Port);

/// <summary>Raft role; the numbers are those of PgraftRole in the ABI.</summary>
public enum NodeRole
{
    /// <summary>Holds no configuration yet.</summary>
    Waiting = 0,

    /// <summary>Knows a configuration but is not a voter in it.</summary>
    Passive = 1,

    /// <summary>Voter that follows.</summary>
    Follower = 2,

    /// <summary>Voter that asks for votes.</summary>
    Candidate = 3,

    /// <summary>Leader of the current term.</summary>
    Leader = 4,
}

/// <summary>A picture of the node. Times are CLOCK_MONOTONIC nanoseconds (Stopwatch).</summary>
public sealed record NodeStatus
{
    /// <summary>Raft role.</summary>
    public NodeRole Role { get; init; }

    /// <summary>Current term.</summary>
    public long Term { get; init; }

    /// <summary>Node id of the leader this node follows or is; 0 = none known.</summary>
    public int LeaderId { get; init; }

    /// <summary>Leader: no other member can lead before this time; 0 otherwise.</summary>
    public long LeaseDeadlineNs { get; init; }

    /// <summary>Follower: <see cref="LeaderId"/> counts as known until then; 0 otherwise.</summary>
    public long LeaderDeadlineNs { get; init; }

    /// <summary>Highest log index known committed.</summary>
    public long CommitIndex { get; init; }

    /// <summary>Highest log index applied. <c>AppliedIndex &lt;= CommitIndex</c>.</summary>
    public long AppliedIndex { get; init; }

    /// <summary>Index of the last entry in the log.</summary>
    public long LastIndex { get; init; }

    /// <summary>
    /// Index of the first entry still in the log; LastIndex + 1 when it holds none.
    /// </summary>
    public long FirstIndex { get; init; }

    /// <summary>Last index covered by the newest snapshot; 0 = none.</summary>
    public long SnapshotIndex { get; init; }

    /// <summary>Term of the entry at <see cref="SnapshotIndex"/>.</summary>
    public long SnapshotTerm { get; init; }

    /// <summary>Bytes of the newest snapshot; 0 = none.</summary>
    public long SnapshotBytes { get; init; }

    /// <summary>Bytes on disk of log and snapshots.</summary>
    public long DiskBytes { get; init; }

    /// <summary>Highest log index that this node has heard to be committed anywhere.
    /// <c>CommitIndex &lt;= KnownCommitIndex</c>.</summary>
    public long KnownCommitIndex { get; init; }

    /// <summary>Too few members answered this node, which had asked all: counts until then; 0 =
    /// not known.</summary>
    public long NoQuorumDeadlineNs { get; init; }

    /// <summary>Members that answered within two election timeouts, this node included; null = it
    /// does not ask all of them. Meaningful while the lease holds or
    /// <see cref="NoQuorumDeadlineNs"/> has not passed.</summary>
    public int? LiveMembers { get; init; }

    /// <summary>When it was last found that these members answer and no others; 0 when
    /// <see cref="LiveMembers"/> is null.</summary>
    public long LiveMembersSinceNs { get; init; }

    /// <summary>Number of members in the committed configuration.</summary>
    public int Members { get; init; }

    /// <summary>Log index of a committed configuration by which this node is not a member any more;
    /// 0 = it has not been removed, as far as it knows.</summary>
    public long RemovedIndex { get; init; }

    /// <summary>RPCs received from peers since start.</summary>
    public long MessagesProcessed { get; init; }

    /// <summary>Heartbeats (append RPCs without entries) sent since start.</summary>
    public long HeartbeatsSent { get; init; }

    /// <summary>Elections this node started since start.</summary>
    public long ElectionsTriggered { get; init; }
}

/// <summary>What came of a proposal that was committed and applied here.</summary>
/// <param name="Index">Log index of its entry; 0 when it needed none.</param>
/// <param name="Term">Term of its entry.</param>
/// <param name="Result">What the state machine answered; its index is that of the first copy of the
/// request, which may have been another entry.</param>
public readonly record struct Proposal(long Index, long Term, ApplyResult Result);

/// <summary>A member as seen from here.</summary>
/// <param name="Address">Id and address.</param>
/// <param name="IsLeader">Whether this node takes it for the leader.</param>
/// <param name="IsActive">Whether it was heard from within the election timeout; null = this node
/// cannot tell.</param>
public sealed record MemberView(MemberAddress Address, bool IsLeader, bool? IsActive);

/// <summary>A follower's progress, on the leader.</summary>
/// <param name="NodeId">The follower.</param>
/// <param name="MatchIndex">Highest index known durable there in this leadership.
/// <c>MatchIndex &lt; NextIndex</c>.</param>
/// <param name="NextIndex">Next index to send.</param>
/// <param name="IsActive">Answered within the election timeout.</param>
/// <param name="Lag">Entries in the leader's log that it has not acknowledged.</param>
/// <param name="LastContactMs">Milliseconds since its last answer; null = never.</param>
/// <param name="State">probe, replicate, snapshot or unreachable; catching up for a node that is
/// not a member yet.</param>
public sealed record FollowerProgress(
    int NodeId, long MatchIndex, long NextIndex, bool IsActive, long Lag, long? LastContactMs,
    string State)
{
    /// <summary>Smoothed time it takes to answer an append, in ms; null = not measured in the last
    /// minute.</summary>
    public double? RoundTripMs { get; init; }

    /// <summary>Where it is reached.</summary>
    public MemberAddress? Address { get; init; }
}

/// <summary>How far a node that is to be added has come.</summary>
/// <param name="Stage">What it is waited for.</param>
/// <param name="MatchIndex">Highest index known durable there; 0 = none.</param>
/// <param name="LastIndex">Last index of the leader's log.</param>
/// <param name="SnapshotSentBytes">Bytes of the snapshot that it has.</param>
/// <param name="SnapshotBytes">Length of the snapshot; 0 = none was needed so far.</param>
public readonly record struct JoinProgress(
    JoinStage Stage, long MatchIndex, long LastIndex, long SnapshotSentBytes, long SnapshotBytes);

/// <summary>What an addition waits for.</summary>
public enum JoinStage
{
    /// <summary>The node takes the snapshot.</summary>
    Snapshot,

    /// <summary>The node takes entries.</summary>
    CatchingUp,

    /// <summary>The new configuration is to be committed.</summary>
    Committing,
}

/// <summary>A member as this node has heard it.</summary>
/// <param name="Address">Id and address.</param>
/// <param name="IsAlive">Whether it answered or led this node within two election timeouts; false
/// when it was asked and did not answer; null = this node has not asked.</param>
/// <param name="LastContactMs">Milliseconds since it was last heard; null = never, or this node
/// itself.</param>
public sealed record PeerView(MemberAddress Address, bool? IsAlive, long? LastContactMs)
{
    /// <summary>Since when <see cref="IsAlive"/> is what it is, as measured here; of this node
    /// itself: since it started. Null = never heard and never asked.</summary>
    public DateTimeOffset? AliveSince { get; init; }

    /// <summary>Smoothed time it takes to answer an append, sync included; null = not measured in
    /// the last minute. Only a leader measures.</summary>
    public double? RoundTripMs { get; init; }

    /// <summary>Least such time of the last seconds; null as <see cref="RoundTripMs"/>.</summary>
    public double? LatencyMs { get; init; }

    /// <summary>Its pgraft version; null = not heard since this node's start.</summary>
    public string? Version { get; init; }

    /// <summary>Peer protocol spoken with it, 0 = none in common; null = not heard.</summary>
    public int? Protocol { get; init; }

    /// <summary>Newest data version it reads; null = not heard.</summary>
    public int? DataVersion { get; init; }

    /// <summary>Its election timeout; null = not heard.</summary>
    public int? ElectionTimeoutMs { get; init; }

    /// <summary>Why it could not be reached; null while it can, or was not tried.</summary>
    public string? LastError { get; init; }
}

/// <summary>What a node has measured and heard: the facts behind its findings.</summary>
/// <param name="Peers">All members of the committed configuration, this node included.</param>
/// <param name="SyncMs">Decaying mean of a sync of the log, in ms, or the time of the one under way
/// if that is longer; null = none yet.</param>
/// <param name="DataVersion">Newest data version that every member is known to read.</param>
public sealed record NodeFacts(IReadOnlyList<PeerView> Peers, double? SyncMs, int DataVersion);

/// <summary>A log entry to be shown.</summary>
/// <param name="Index">Log index.</param>
/// <param name="Term">Term it was proposed in.</param>
/// <param name="IsConfiguration">Whether it holds a configuration.</param>
/// <param name="Payload">Command bytes; empty for a leader's first entry of its term.</param>
public sealed record LogEntryView(
    long Index, long Term, bool IsConfiguration, ReadOnlyMemory<byte> Payload);

/// <summary>What a member had when it went on alone.</summary>
/// <param name="CommitIndex">Highest index it knew to be committed.</param>
/// <param name="LastIndex">End of its log, all of which was kept. What was acknowledged beyond is
/// lost.</param>
/// <param name="LostMembers">Members that were left.</param>
public sealed record RecoveryResult(long CommitIndex, long LastIndex, int LostMembers);

/// <summary>Settings fixed for the life of the node.</summary>
public sealed record NodeOptions
{
    /// <summary>Name all members share.</summary>
    public required string ClusterId { get; init; }

    /// <summary>This node.</summary>
    public required MemberAddress Self { get; init; }

    /// <summary>Host, IP or "*" to bind.</summary>
    public required string ListenAddress { get; init; }

    /// <summary>Absolute path of the data directory.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>
    /// Founding members for static bootstrap; empty = wait to be founded or added.
    /// </summary>
    public required IReadOnlyList<MemberAddress> InitialCluster { get; init; }

    /// <summary>Lower bound of the election timeout; the upper bound is twice it.</summary>
    public required int ElectionTimeoutMs { get; init; }

    /// <summary>Longest silence of a leader.</summary>
    public required int HeartbeatIntervalMs { get; init; }

    /// <summary>Version of the extension, shown to peers.</summary>
    public required string Version { get; init; }

    /// <summary>Settings that may change at run time.</summary>
    public required RuntimeOptions Runtime { get; init; }

    /// <summary>The disk below everything the node keeps; another one in tests.</summary>
    internal IStorageIo Io { get; init; } = PhysicalIo.Instance;

    /// <summary>Size of a log segment, as <see cref="LogOptions.SegmentBytes"/>.</summary>
    internal int LogSegmentBytes { get; init; } = LogOptions.DefaultSegmentBytes;

    /// <summary>What leases, votes and contact are measured by: its timestamps are CLOCK_MONOTONIC
    /// (<see cref="System.Diagnostics.Stopwatch"/>) except in tests.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>What the node says it can speak and read; another in tests.</summary>
    internal NodeVersions Versions { get; init; } = NodeVersions.OfThisBuild;
}

/// <summary>Settings that may change at run time.</summary>
public sealed record RuntimeOptions
{
    /// <summary>Applied entries between snapshots.</summary>
    public required int SnapshotIntervalEntries { get; init; }

    /// <summary>Entries kept behind a snapshot.</summary>
    public required int MaxLogEntries { get; init; }

    /// <summary>Most entries in one replication message.</summary>
    public required int BatchSizeEntries { get; init; }

    /// <summary>Longest pause between two rounds, to fill the next; 0 = none.</summary>
    public required int MaxBatchDelayMs { get; init; }

    /// <summary>KV history older than this many revisions is compacted; 0 = never.</summary>
    public required int CompactionThresholdRevisions { get; init; }
}
