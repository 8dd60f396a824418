// What the node says of itself.
// Threading: any thread; reads only. Failure: none.
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Membership;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    /// <inheritdoc/>
    public NodeStatus Status
    {
        get
        {
            if (_log is not { } log || _engine is null)
            {
                return new NodeStatus();
            }

            long term = log.Term;
            int leaderId = KnownLeader(term, out long deadlineNs);
            bool leads = View.Leads(term);
            var disk = Disk;
            var live = _quorum.Live;
            return new NodeStatus
            {
                Role = Role(leads),
                Term = term,
                LeaderId = leaderId,
                LeaderDeadlineNs = deadlineNs,
                LeaseDeadlineNs = leads ? _lease.Current : 0,
                CommitIndex = log.CommitIndex,
                AppliedIndex = Applier.AppliedIndex,
                LastIndex = disk.Log.LastIndex,
                FirstIndex = disk.Log.FirstIndex,
                SnapshotIndex = disk.Snapshots.Current?.Index ?? 0,
                SnapshotTerm = disk.Snapshots.Current?.Term ?? 0,
                SnapshotBytes = disk.Snapshots.Current?.TotalBytes ?? 0,
                DiskBytes = disk.Log.DiskBytes + (disk.Snapshots.Current?.TotalBytes ?? 0),
                KnownCommitIndex = Math.Max(
                    log.CommitIndex, Volatile.Read(ref _leaderCommitIndex)),
                // What it asked as a member says nothing of the majority without it.
                NoQuorumDeadlineNs = Membership.RemovedIndex == 0 ? _quorum.LostUntilNs : 0,
                LiveMembers = live?.NodeIds.Length,
                LiveMembersSinceNs = live?.SinceNs ?? 0,
                Members = Committed.Count,
                RemovedIndex = Membership.RemovedIndex,
                MessagesProcessed = _requests?.Messages ?? 0,
                HeartbeatsSent = Volatile.Read(ref _heartbeatsSent),
                ElectionsTriggered = log.Elections,
            };
        }
    }

    /// <inheritdoc/>
    public int DataVersion => Versions.Written;

    /// <inheritdoc/>
    public int LeaderId => _engine is null ? 0 : KnownLeader(Log.Term, out _);

    /// <inheritdoc/>
    public IReadOnlyList<MemberView> GetMembers()
    {
        int leaderId = KnownLeader(Log.Term, out _);
        return [.. Committed.Addresses
            .Select(a => new MemberView(a, a.NodeId == leaderId, IsActive(a.NodeId, leaderId)))];
    }

    /// <inheritdoc/>
    public IReadOnlyList<FollowerProgress> GetReplication()
    {
        if (View.Tenure is not { } tenure)
        {
            return [];
        }

        var members = Membership.Remotes;
        var joining = Volatile.Read(ref _joining);
        var rows = members.Select(r => ProgressOf(r, tenure.Term, isJoining: false));
        return joining is null || members.Contains(joining)
            ? [.. rows]
            : [.. rows, ProgressOf(joining, tenure.Term, isJoining: true)];
    }

    // The committed configuration as far as it is known here; that this node is not in the newest
    // one is known even where the rest of that is not.
    private Configuration Committed
    {
        get
        {
            var committed = Disk.Configurations.At(Log.CommitIndex).Configuration;
            return Membership.RemovedIndex == 0 ? committed : committed.Without(SelfId);
        }
    }

    // A removed node follows nobody.
    private int KnownLeader(long term, out long deadlineNs)
    {
        int leaderId = View.Current(term, out deadlineNs);
        if (Membership.RemovedIndex == 0)
        {
            return leaderId;
        }

        deadlineNs = 0;
        return 0;
    }

    /// <inheritdoc/>
    public NodeFacts GetFacts() => new(
        [.. Committed.Addresses.Select(a => a.NodeId == SelfId ? OwnView(a) : PeerViewOf(a))],
        SyncMs(),
        DataVersion);

    // A sync that has not returned is not in the mean yet.
    private double? SyncMs() =>
        Disk.Log.SyncTimes.MeanMs is { } mean ? Math.Max(mean, Disk.Log.BusyMs) : null;

    private PeerView OwnView(MemberAddress address) => new(address, true, null)
    {
        AliveSince = _startedAt,
        Version = _options.Version,
        Protocol = Versions.Own.Protocol.Newest,
        DataVersion = Versions.Own.Data.Newest,
        ElectionTimeoutMs = _options.ElectionTimeoutMs,
    };

    private PeerView PeerViewOf(MemberAddress address)
    {
        var peer = Membership.FindPeer(address.NodeId);
        var heard = Versions.Of(address.NodeId);
        var presence = peer?.Contact.Presence;
        var alive = presence?.Now ?? default;
        return new PeerView(address, alive.Value, SinceMs(presence?.HeardAt ?? 0))
        {
            AliveSince = alive.Since,
            RoundTripMs = peer?.Contact.RoundTrip.SmoothedMs,
            LatencyMs = peer?.Contact.RoundTrip.LeastMs,
            Version = heard?.Version,
            Protocol = heard?.Protocol,
            DataVersion = heard?.DataVersion,
            ElectionTimeoutMs = heard?.ElectionTimeoutMs,
            LastError = peer?.LastError,
        };
    }

    private long? SinceMs(long timestamp) => timestamp == 0
        ? null
        : (long)_options.Clock.GetElapsedTime(timestamp).TotalMilliseconds;

    /// <summary>How long an answer, or its absence, says whether a member is alive.</summary>
    internal TimeSpan Lately => TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs * 2);

    private NodeRole Role(bool leads)
    {
        var active = Membership.Active;
        if (active.IsEmpty)
        {
            return NodeRole.Waiting;
        }

        if (!active.Contains(SelfId))
        {
            return NodeRole.Passive;
        }

        return leads ? NodeRole.Leader
            : View.IsCandidate ? NodeRole.Candidate
            : NodeRole.Follower;
    }

    private bool? IsActive(int nodeId, int leaderId)
    {
        if (nodeId == SelfId || nodeId == leaderId)
        {
            return true;
        }

        var contact = Membership.FindPeer(nodeId)?.Contact;
        bool asks = View.Tenure is not null || leaderId == 0;
        return asks && contact is not null
            ? contact.HeardWithin(TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs * 2))
            : null;
    }

    private FollowerProgress ProgressOf(RemoteMember remote, long term, bool isJoining)
    {
        var contact = remote.Peer.Contact;
        long match = contact.MatchIndex(term);
        long next = Math.Max(remote.NextIndex, match + 1);
        bool active = contact.HeardWithin(TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs));
        string state = !active ? "unreachable"
            : contact.SendingSnapshot ? "snapshot"
            : isJoining ? "catching up"
            : match > 0 ? "replicate" : "probe";
        return new FollowerProgress(
            remote.Address.NodeId, match, next, active, Disk.Log.LastIndex - match,
            SinceMs(contact.LastAnswer), state)
        {
            RoundTripMs = contact.RoundTrip.SmoothedMs,
            Address = remote.Address,
        };
    }
}
