// All metrics there are. docs/metrics.md has the same list; a test compares the two, and what is
// written with both. Threading: constants. Failure: none.
using static PgRaft.Server.Metrics.MetricType;

namespace PgRaft.Server.Metrics;

internal static class MetricList
{
    public static readonly MetricInfo Info = new(
        "pgraft_info", Gauge,
        "Always 1; version of pgraft, name of the "
        + "cluster and number of this node", "version", "cluster_id", "node_id");

    public static readonly MetricInfo Up = new(
        "pgraft_up", Gauge,
        "Whether the node is at work: neither failed nor stopped");

    public static readonly MetricInfo WorkerState = new(
        "pgraft_worker_state", Gauge,
        "1 for the state the worker is in, 0 for the others", "state");

    public static readonly MetricInfo StartTime = new(
        "pgraft_start_time_seconds", Gauge,
        "When the node started, in seconds since 1970");

    public static readonly MetricInfo Term = new(
        "pgraft_term", Gauge,
        "Current term");

    public static readonly MetricInfo LeaderId = new(
        "pgraft_leader_id", Gauge,
        "Node id of the leader, 0 when this node knows none or has lost contact");

    public static readonly MetricInfo IsLeader = new(
        "pgraft_is_leader", Gauge,
        "Whether this node leads and holds the lease");

    public static readonly MetricInfo Role = new(
        "pgraft_role", Gauge,
        "1 for the role this node has, 0 for the others", "role");

    public static readonly MetricInfo LeaseRemaining = new(
        "pgraft_lease_remaining_seconds", Gauge,
        "Time until the leader lease ends, 0 without one; absent on the only member, "
        + "whose lease has no end");

    public static readonly MetricInfo Members = new(
        "pgraft_members", Gauge,
        "Members of the committed configuration");

    public static readonly MetricInfo RoleChanges = new(
        "pgraft_role_changes_total", Counter,
        "Changes of role, term or leader noticed since the start");

    public static readonly MetricInfo Elections = new(
        "pgraft_elections_started_total", Counter,
        "Elections this node started");

    public static readonly MetricInfo ElectionsWon = new(
        "pgraft_elections_won_total", Counter,
        "Elections this node won");

    public static readonly MetricInfo LeadershipsLost = new(
        "pgraft_leaderships_lost_total", Counter,
        "Times this node's leadership ended");

    public static readonly MetricInfo LeaseExpirations = new(
        "pgraft_lease_expirations_total", Counter,
        "Times the leader lease ran out before it was renewed");

    public static readonly MetricInfo LogSize = new(
        "pgraft_log_size", Gauge,
        "Entries the log holds");

    public static readonly MetricInfo FirstIndex = new(
        "pgraft_log_first_index", Gauge,
        "Index of the first entry in the log");

    public static readonly MetricInfo LastIndex = new(
        "pgraft_log_last_index", Gauge,
        "Index of the last entry in the log");

    public static readonly MetricInfo CommitIndex = new(
        "pgraft_commit_index", Gauge,
        "Highest log index known to be committed");

    public static readonly MetricInfo AppliedIndex = new(
        "pgraft_applied_index", Gauge,
        "Highest log index applied here");

    public static readonly MetricInfo SnapshotIndex = new(
        "pgraft_snapshot_index", Gauge,
        "Last log index that the newest snapshot covers, 0 without one");

    public static readonly MetricInfo SnapshotBytes = new(
        "pgraft_snapshot_bytes", Gauge,
        "Size of the newest snapshot");

    public static readonly MetricInfo StorageBytes = new(
        "pgraft_storage_bytes", Gauge,
        "Bytes on disk of log and snapshot");

    public static readonly MetricInfo DiskFree = new(
        "pgraft_disk_free_bytes", Gauge,
        "Bytes free for this server in the file system of the data directory");

    public static readonly MetricInfo DiskSize = new(
        "pgraft_disk_size_bytes", Gauge,
        "Size of the file system of the data directory");

    public static readonly MetricInfo LogWritten = new(
        "pgraft_log_written_bytes_total", Counter,
        "Bytes of entries written to the log");

    public static readonly MetricInfo LogSync = new(
        "pgraft_log_sync_duration_seconds", Histogram,
        "Time of a sync of the log");

    public static readonly MetricInfo Apply = new(
        "pgraft_apply_duration_seconds", Histogram,
        "Time to apply a batch of committed entries");

    public static readonly MetricInfo SnapshotDuration = new(
        "pgraft_snapshot_duration_seconds", Histogram,
        "Time to write a snapshot");

    public static readonly MetricInfo SnapshotsInstalled = new(
        "pgraft_snapshots_installed_total", Counter,
        "Snapshots of a leader that were installed");

    public static readonly MetricInfo SnapshotFailures = new(
        "pgraft_snapshot_failures_total", Counter,
        "Snapshots that were not written for want of room");

    public static readonly MetricInfo Proposals = new(
        "pgraft_proposals_total", Counter,
        "Proposals on this node as the leader: applied, refused (certainly not "
        + "done), unknown", "outcome");

    public static readonly MetricInfo ProposalDuration = new(
        "pgraft_proposal_duration_seconds", Histogram,
        "Time from a proposal on the leader to its application there");

    public static readonly MetricInfo Replication = new(
        "pgraft_replication_duration_seconds", Histogram,
        "Time from sending entries to a member to its answer, its sync included");

    public static readonly MetricInfo PeerSent = new(
        "pgraft_peer_sent_bytes_total", Counter,
        "Bytes sent to other members");

    public static readonly MetricInfo PeerReceived = new(
        "pgraft_peer_received_bytes_total", Counter,
        "Bytes received from other members");

    public static readonly MetricInfo PeerMessages = new(
        "pgraft_peer_messages_total", Counter,
        "Requests received from other members");

    public static readonly MetricInfo Heartbeats = new(
        "pgraft_heartbeats_sent_total", Counter,
        "Heartbeats sent");

    public static readonly MetricInfo PeerUp = new(
        "pgraft_peer_up", Gauge,
        "On the leader: whether the member answered within the election timeout", "peer");

    public static readonly MetricInfo PeerLag = new(
        "pgraft_peer_lag_entries", Gauge,
        "On the leader: entries of its log that the member has not acknowledged", "peer");

    public static readonly MetricInfo PeerMatch = new(
        "pgraft_peer_match_index", Gauge,
        "On the leader: highest log index the member is known to have on disk", "peer");

    public static readonly MetricInfo PeerContact = new(
        "pgraft_peer_last_contact_seconds", Gauge,
        "On the leader: time since the last answer of the member", "peer");

    public static readonly MetricInfo PeerRoundTrip = new(
        "pgraft_peer_round_trip_seconds", Gauge,
        "On the leader: smoothed time from an append to the answer of the member", "peer");

    public static readonly MetricInfo Requests = new(
        "pgraft_requests_total", Counter,
        "Requests of this server that were answered, by kind and "
        + "outcome: ok, error, unknown", "request", "outcome");

    public static readonly MetricInfo RequestDuration = new(
        "pgraft_request_duration_seconds", Histogram,
        "Time to answer a request of this server, by kind: write, read", "kind");

    public static readonly MetricInfo Forwarded = new(
        "pgraft_forwarded_requests_total", Counter,
        "Requests that other members passed on to this node");

    public static readonly MetricInfo RequestsPending = new(
        "pgraft_requests_pending", Gauge,
        "Requests that are being answered");

    public static readonly MetricInfo Connections = new(
        "pgraft_request_connections", Gauge,
        "Connections of sessions to the worker");

    public static readonly MetricInfo Keys = new(
        "pgraft_kv_keys", Gauge,
        "Live keys");

    public static readonly MetricInfo KvBytes = new(
        "pgraft_kv_bytes", Gauge,
        "Bytes of the live keys and their values");

    public static readonly MetricInfo Revision = new(
        "pgraft_kv_revision", Gauge,
        "Revision of the last write");

    public static readonly MetricInfo CompactedRevision = new(
        "pgraft_kv_compacted_revision", Gauge,
        "Reads before this revision are refused");

    public static readonly MetricInfo Puts = new(
        "pgraft_kv_puts_total", Counter,
        "Puts applied since the cluster was founded");

    public static readonly MetricInfo Deletes = new(
        "pgraft_kv_deletes_total", Counter,
        "Deletes that found their key, applied since the cluster was founded");

    public static readonly MetricInfo Managed = new(
        "pgraft_runtime_managed_bytes", Gauge,
        "Bytes of managed memory in use");

    public static readonly MetricInfo Collections = new(
        "pgraft_runtime_gc_collections_total", Counter,
        "Garbage collections by generation", "generation");

    public static readonly MetricInfo GcPause = new(
        "pgraft_runtime_gc_pause_seconds_total", Counter,
        "Time in which garbage collection had stopped the core");

    public static readonly MetricInfo Threads = new(
        "pgraft_runtime_pool_threads", Gauge,
        "Threads of the core's pool");

    public static readonly MetricInfo Resident = new(
        "process_resident_memory_bytes", Gauge,
        "Resident memory of the worker");

    public static readonly MetricInfo Cpu = new(
        "process_cpu_seconds_total", Counter,
        "Processor time of the worker, user and system");

    /// <summary>All of them, in the order in which they are written.</summary>
    public static IReadOnlyList<MetricInfo> All { get; } =
    [
        Info, Up, WorkerState, StartTime, Term, LeaderId, IsLeader, Role, LeaseRemaining, Members,
        RoleChanges, Elections, ElectionsWon, LeadershipsLost, LeaseExpirations, LogSize,
        FirstIndex, LastIndex, CommitIndex, AppliedIndex, SnapshotIndex, SnapshotBytes,
        StorageBytes, DiskFree, DiskSize, LogWritten, LogSync, Apply, SnapshotDuration,
        SnapshotsInstalled, SnapshotFailures, Proposals, ProposalDuration, Replication, PeerSent,
        PeerReceived, PeerMessages, Heartbeats, PeerUp, PeerLag, PeerMatch, PeerContact,
        PeerRoundTrip, Requests, RequestDuration, Forwarded, RequestsPending, Connections, Keys,
        KvBytes, Revision, CompactedRevision, Puts, Deletes, Managed, Collections, GcPause,
        Threads, Resident, Cpu,
    ];
}
