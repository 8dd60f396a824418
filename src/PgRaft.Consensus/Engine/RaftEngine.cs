// DotNext's Raft engine with our members, our log and our server side.
//
// The engine is pinned to one version and its weak places are guarded from outside; see
// docs/consensus-engine.md for the list. Guards live where they act: replies and deadlines in the
// members, refusals of requests in PeerRequests, log rules in EngineLog.
// Threading: as the engine's own, any thread. Failure: exceptions of the log end the node.
using System.Diagnostics;
using DotNext.Net.Cluster.Consensus.Raft;
using DotNext.Net.Cluster.Consensus.Raft.Membership;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Engine;

/// <summary>The consensus engine of one node.</summary>
internal sealed class RaftEngine : RaftCluster<Member>
{
    // So short that it has passed before anything else happens.
    private const int NoPatienceMs = 1;
    private readonly ILogger _logger;
    private int _patienceMs;

    /// <summary>Prepares an engine that is not started.</summary>
    public RaftEngine(EngineOptions options, ILogger logger)
        : base(options)
    {
        _logger = logger;
        EnginePrivates.Check(this);
    }

    /// <inheritdoc/>
    protected override ILogger Logger => _logger;

    /// <summary>
    /// Starts with these members; standing by when the local one is not among them.
    /// </summary>
    public async Task StartAsync(IEnumerable<Member> members, CancellationToken token)
    {
        await SetMembersAsync(members, token).ConfigureAwait(false);
        await StartAsync(token).ConfigureAwait(false);
        StartFollowing();
    }

    /// <summary>Makes these the members; those that go are disposed.</summary>
    /// <remarks>
    /// Waits for the engine's transition lock: never call it from inside the log.
    /// </remarks>
    public async Task SetMembersAsync(IEnumerable<Member> members, CancellationToken token)
    {
        var wanted = members.ToDictionary(m => m.Id);
        var scope = await ChangeConfigurationAsync(token).ConfigureAwait(false);
        await using (scope.ConfigureAwait(false))
        {
            foreach (var (id, member) in scope.Members)
            {
                if (!IsKept(member, wanted.GetValueOrDefault(id)))
                {
                    scope.MarkAsRemoved(member);
                }
            }

            foreach (var (id, member) in wanted)
            {
                if (!scope.Members.TryGetValue(id, out var present) || !IsKept(present, member))
                {
                    scope.MarkAsAdded(member);
                }
            }
        }
    }

    /// <summary>Starts a replication round now, if this node leads; does not wait for it.</summary>
    public void Replicate()
    {
        // The engine's answer to a follower that asks for its commit index also starts a round, and
        // is the only public way to do so without waiting. It completes synchronously.
        var answer = SynchronizeAsync(-1, CancellationToken.None);
        Debug.Assert(answer.IsCompleted, "Synchronize waits in this version of the engine.");
    }

    /// <summary>Steps down if this node leads.</summary>
    public ValueTask<bool> StepDownAsync(CancellationToken token) => ResignAsync(token);

    /// <summary>Makes this node, which must not lead, stand for election at once.</summary>
    /// <remarks>
    /// Hazard 40: the engine's follower campaigns when its election timeout has passed, and takes
    /// the timeout anew whenever it becomes a follower: so it becomes one with hardly any. It must
    /// have its patience back before it waits for votes (<see cref="RestorePatience"/>). Not
    /// cancellable: in between it would stay a standby.
    /// </remarks>
    public async Task StandAsync()
    {
        Volatile.Write(ref _patienceMs, Volatile.Read(ref EnginePrivates.ElectionTimeoutMs(this)));
        Volatile.Write(ref EnginePrivates.ElectionTimeoutMs(this), NoPatienceMs);
        try
        {
            await EnableStandbyModeAsync(CancellationToken.None).ConfigureAwait(false);
            await RevertToNormalModeAsync(CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            RestorePatience();
        }
    }

    /// <summary>Ends the haste of <see cref="StandAsync"/>; to be called when an election begins.
    /// </summary>
    public void RestorePatience()
    {
        int patienceMs = Interlocked.Exchange(ref _patienceMs, 0);
        if (patienceMs > 0)
        {
            Volatile.Write(ref EnginePrivates.ElectionTimeoutMs(this), patienceMs);
        }
    }

    /// <summary>Stops for good.</summary>
    public async Task EndAsync()
    {
        await StopAsync(CancellationToken.None).ConfigureAwait(false);

        // Stopping and disposing fault whatever somebody could still wait for. Nobody does, and the
        // runtime would report each as unobserved.
        Readiness.Observe();
        WaitForLeaderAsync(Timeout.InfiniteTimeSpan).Observe();
        WaitForLeadershipAsync(CancellationToken.None).Observe();
        await DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Handles a pre-vote request.</summary>
    public ValueTask<Result<PreVoteResult>> OnPreVoteAsync(
        int sender, long term, long lastIndex, long lastTerm, CancellationToken token) =>
        PreVoteAsync(MemberId.FromNodeId(sender), term, lastIndex, lastTerm, 0, token);

    /// <summary>Handles a vote request.</summary>
    public ValueTask<Result<bool>> OnVoteAsync(
        int sender, long term, long lastIndex, long lastTerm, CancellationToken token) =>
        VoteAsync(MemberId.FromNodeId(sender), term, lastIndex, lastTerm, 0, token);

    /// <summary>Handles an append request.</summary>
    public ValueTask<Result<ReplicationStatus>> OnAppendAsync(
        int sender, long term, IReadOnlyList<LogRecord> records, long previousIndex,
        long previousTerm, long commitIndex, CancellationToken token) =>
        AppendEntriesAsync(
            MemberId.FromNodeId(sender), term, new ReceivedEntries(records), previousIndex,
            previousTerm, commitIndex, 0, token);

    /// <summary>Installs a snapshot that arrived whole.</summary>
    public ValueTask<Result<HeartbeatResult>> OnSnapshotAsync(
        int sender, long term, IncomingSnapshot snapshot, CancellationToken token) =>
        InstallSnapshotAsync(
            MemberId.FromNodeId(sender), term, snapshot, snapshot.Index, 0, token);

    /// <summary>Adds a voter: catch-up, then the configuration entry, then its commit.</summary>
    public Task<bool> AddAsync(
        Member member, int rounds, IClusterConfigurationStorage<MemberAddress> storage,
        CancellationToken token) =>
        AddMemberAsync(member, rounds, storage, static m => m.Address, token);

    /// <summary>Removes a voter.</summary>
    public Task<bool> RemoveAsync(
        int nodeId, IClusterConfigurationStorage<MemberAddress> storage, CancellationToken token) =>
        RemoveMemberAsync(MemberId.FromNodeId(nodeId), storage, static m => m.Address, token);

    // A member with a new address is another object. The local one is never exchanged: the engine
    // would replicate to the new one as to any other member.
    private static bool IsKept(Member present, Member? wanted) =>
        wanted is not null && (ReferenceEquals(present, wanted) || !present.IsRemote);
}

/// <summary>The engine's settings.</summary>
/// <param name="electionTimeoutMs">Lower election timeout; the upper is twice it.</param>
/// <param name="heartbeatIntervalMs">Longest silence of a leader.</param>
internal sealed class EngineOptions(int electionTimeoutMs, int heartbeatIntervalMs)
    : IClusterMemberConfiguration
{
    /// <inheritdoc/>
    public double HeartbeatThreshold { get; } = (double)heartbeatIntervalMs / electionTimeoutMs;

    /// <inheritdoc/>
    public ElectionTimeout ElectionTimeout { get; } = new()
    {
        LowerValue = electionTimeoutMs,
        UpperValue = electionTimeoutMs * 2,
    };

    bool IClusterMemberConfiguration.Standby => false;

    // The lease is our own (LeaderLease): the engine's has a fixed drift bound and only timers.
    bool IClusterMemberConfiguration.IsLeaderLeaseEnabled => false;

    // Hazard 46: rounds that may wait for one member; beyond that it counts as unavailable. More
    // than a majority goes through in the time in which the slowest answers.
    int IClusterMemberConfiguration.MaxReplicationLag => 4096;
}

/// <summary>Gives the engine the newest configuration; the log itself stores them.</summary>
internal sealed class EngineConfigurations(ConfigurationHistory history)
    : IClusterConfigurationStorage<MemberAddress>
{
    event Func<IClusterConfiguration<MemberAddress>, CancellationToken, ValueTask>
        IClusterConfigurationStorage<MemberAddress>.ConfigurationChanged
    {
        add { }
        remove { }
    }

    ValueTask<IClusterConfiguration<MemberAddress>>
        IClusterConfigurationStorage<MemberAddress>.LoadConfigurationAsync(
            CancellationToken token) =>
        new(history.Latest.Configuration);

    ValueTask<(DotNext.IO.IDataTransferObject Configuration, long Version)>
        IClusterConfigurationStorage.LoadConfigurationAsync(CancellationToken token) =>
        new((history.Latest.Configuration, history.Latest.Index));

    ValueTask<bool> IClusterConfigurationStorage.SaveConfigurationAsync<TConfiguration>(
        TConfiguration configuration, long configurationVersion, CancellationToken token) =>
        ValueTask.FromException<bool>(
            new NotSupportedException(
                "Configurations are stored in the log and in snapshots only."));

    void IDisposable.Dispose()
    {
    }
}
