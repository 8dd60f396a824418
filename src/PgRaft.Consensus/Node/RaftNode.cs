// One member of a cluster: opens the storage, ties log, engine, applier and transport together, and
// owns their order of starting and stopping.
//
// Start: storage -> state machine -> applier -> port -> engine. Stop: the other way round.
// Threading: any thread. Failure: Fail() ends the node once; whoever hosts it sees Failure complete
// and takes it down. Nothing is repaired in flight.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using PgRaft.Consensus.Node;
using PgRaft.Consensus.Transport;
using PgRaft.Core;

namespace PgRaft.Consensus;

/// <inheritdoc cref="IRaftNode"/>
public sealed partial class RaftNode : IRaftNode, IMemberHost
{
    private readonly NodeOptions _options;
    private readonly StateMachine _stateMachine;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource<PgraftException> _failure =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly CancellationTokenSource _stopping = new();
    private readonly LeaderLease _lease = new();
    private readonly LeadershipHistory _history;
    private readonly QuorumView _quorum;
    private readonly Ballots _ballots;
    private readonly RoundPacer _pacer;
    private RuntimeOptions _runtime;
    private NodeStorage? _storage;
    private Applier? _applier;
    private EngineLog? _log;
    private RaftEngine? _engine;
    private RaftEngine? _runningEngine;
    private MembershipKeeper? _membership;
    private PeerRequests? _requests;
    private PeerListener? _listener;
    private SnapshotInbox? _inbox;
    private MemberVersions? _versions;
    private CancellationTokenSource _engineStopped = new();
    private Task _leadershipWatch = Task.CompletedTask;
    private long _heartbeatsSent;
    private long _leaderCommitIndex;
    private DateTimeOffset _startedAt;
    private int _stopped;

    /// <summary>Prepares a node; nothing is opened before <see cref="StartAsync"/>.</summary>
    public RaftNode(NodeOptions options, StateMachine stateMachine, ILoggerFactory loggers)
    {
        _options = options;
        _runtime = options.Runtime;
        _stateMachine = stateMachine;
        _history = new LeadershipHistory(options.Clock, Meters);
        _logger = loggers.CreateLogger("raft");
        View = new LeaderView(options.Self.NodeId, options.ElectionTimeoutMs, options.Clock);
        View.Changed += RaiseStatusChanged;
        _quorum = new QuorumView(options.ElectionTimeoutMs, options.Clock);
        _ballots = new Ballots(() => Membership.Active.Count);
        _pacer = new RoundPacer(LongestPauseMs, options.Clock);
    }

    /// <inheritdoc/>
    public event Action? StatusChanged;

    /// <inheritdoc/>
    public Task<PgraftException> Failure => _failure.Task;

    /// <inheritdoc/>
    public Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask<ReadOnlyMemory<byte>>>?
        ForwardHandler
    { get; set; }

    /// <inheritdoc/>
    public NodeMeters Meters { get; } = new();

    EngineLog IMemberHost.Log => Log;

    int IMemberHost.ElectionTimeoutMs => _options.ElectionTimeoutMs;

    TimeProvider IMemberHost.Clock => _options.Clock;

    int IMemberHost.BatchSizeEntries => Volatile.Read(ref _runtime).BatchSizeEntries;

    internal LeaderView View { get; }

    /// <summary>What this node and the others can speak and read.</summary>
    internal MemberVersions Versions => _versions ?? throw NotStarted();

    internal EngineLog Log => _log ?? throw NotStarted();

    internal RaftEngine Engine => _engine ?? throw NotStarted();

    internal MembershipKeeper Membership => _membership ?? throw NotStarted();

    internal SnapshotInbox Inbox => _inbox ?? throw NotStarted();

    private Applier Applier => _applier ?? throw NotStarted();

    private NodeStorage Disk => _storage ?? throw NotStarted();

    private int SelfId => _options.Self.NodeId;

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken token)
    {
        try
        {
            _startedAt = _options.Clock.GetUtcNow();
            await OwnThread.Begin();
            OpenStorage();
            _listener = new PeerListener(_requests!, _logger) { Meters = Meters };
            await _listener.StartAsync(_options.ListenAddress, _options.Self.Port, token)
                .ConfigureAwait(false);
            await StartEngineAsync(token).ConfigureAwait(false);
            LogStarted(
                _logger, SelfId, _options.ListenAddress, _options.Self.Port, _options.Self.Host,
                Log.Term, Disk.Log.LastIndex);
            SayIfRemoved();
            CompareOwnAddress();
        }
        catch
        {
            await StopAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Reload(RuntimeOptions options)
    {
        Volatile.Write(ref _runtime, options);
        _applier?.OptionsChanged();
    }

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken token)
    {
        if (Interlocked.Exchange(ref _stopped, 1) != 0)
        {
            return;
        }

        _lease.End();
        await _stopping.CancelAsync().ConfigureAwait(false);
        if (_listener is not null)
        {
            await _listener.DisposeAsync().ConfigureAwait(false);
        }

        await _completing.ConfigureAwait(false);
        await _standing.ConfigureAwait(false);

        // Whoever is replacing the engine starts another one first.
        await _founding.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        await StopEngineAsync().ConfigureAwait(false);
        _founding.Release();
        if (_applier is not null)
        {
            await _applier.DisposeAsync().ConfigureAwait(false);
        }

        _pacer.Dispose();
        _inbox?.Dispose();
        _membership?.Dispose();
        _requests?.Dispose();
        if (_storage is not null)
        {
            // Waits for the disk.
            await OwnThread.Begin();
            _storage.Dispose();
        }

        _failure.TrySetCanceled(CancellationToken.None);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(CancellationToken.None).ConfigureAwait(false);
        _stopping.Dispose();
    }

    bool IMemberHost.IsVoter(int nodeId) => Membership.Active.Contains(nodeId);

    void IMemberHost.ReplicateAgain() => _engine?.Replicate();

    void IMemberHost.HeartbeatSent() => Interlocked.Increment(ref _heartbeatsSent);

    /// <summary>Ends the node; the first reason counts.</summary>
    internal void Fail(Exception reason)
    {
        var failure = reason as PgraftException ?? new PgraftException(
            StatusCode.Internal, $"the node failed: {reason.Message}", null,
            "The worker restarts by itself. If it fails again, see the server log and "
            + "docs/troubleshooting.md.",
            reason);
        if (_failure.TrySetResult(failure))
        {
            _lease.End();
            LogFailed(_logger, reason, failure.Message);
        }
    }

    /// <summary>The founding this node belongs to; 0 = none yet.</summary>
    /// <remarks>Only as a member, or a former one: who catches up passes through configurations of
    /// before the cluster went on alone, which have the old founding.</remarks>
    internal long FoundingId => Membership.CountsSelf || Membership.RemovedIndex > 0
        ? Disk.Configurations.Latest.Configuration.FoundingId
        : 0;

    /// <summary>This node's hello.</summary>
    internal Hello Hello(ChannelKind kind, int targetId) => new(
        kind, _options.ClusterId, FoundingId, SelfId, targetId, _options.ElectionTimeoutMs,
        _options.Version)
    {
        Versions = Versions.Own,
        DataHeld = Math.Max(Versions.Held, _stateMachine.DataVersion),
    };

    private static InvalidOperationException NotStarted() => new("The node is not started.");

    private void OpenStorage()
    {
        var storage = NodeStorage.Open(_options, _stateMachine);
        _storage = storage;
        foreach (string rejected in storage.Snapshots.Rejected)
        {
            LogDamagedSnapshot(_logger, rejected);
        }

        _versions = new MemberVersions(_options.Versions, storage.DataHeld);
        _inbox = new SnapshotInbox(storage.Snapshots);
        _applier = new Applier(
            _stateMachine, storage.Log, storage.Snapshots, storage.Configurations,
            () => Volatile.Read(ref _runtime), _logger, Fail)
        {
            Meters = Meters,
        };
        _log = new EngineLog(
            Path.Combine(_options.DataDirectory, "engine"), storage.Log, storage.Terms,
            storage.Snapshots, storage.Configurations, _applier)
        {
            Pacer = _pacer,
        };
        storage.Log.Failed = Fail;
        storage.Log.Meters = Meters;
        _log.Failed = Fail;
        _membership = new MembershipKeeper(
            this, _options.Self, storage.Configurations, storage.Notices, _logger);
        _requests = new PeerRequests(this, _options, PromiseFaith(storage.Terms));
        _log.Changed += OnLogChanged;
        _log.ConfigurationChanged += OnConfigurationChanged;
        _applier.Applied += RaiseStatusChanged;
        _applier.Start();
    }

    // Heartbeats wait as long.
    private int LongestPauseMs() => Math.Min(
        Volatile.Read(ref _runtime).MaxBatchDelayMs, _options.HeartbeatIntervalMs / 2);

    // A leader may still count on what this voter promised before its restart, with a longer
    // timeout perhaps. Returns for how long; what is promised from now on is on disk before it is.
    private int PromiseFaith(Storage.TermStore terms)
    {
        int before = terms.Term > 0 ? Math.Max(terms.FaithMs, _options.ElectionTimeoutMs) : 0;
        if (terms.FaithMs < _options.ElectionTimeoutMs)
        {
            terms.KeepFaith(_options.ElectionTimeoutMs);
        }

        return before;
    }

    private async Task StartEngineAsync(CancellationToken token)
    {
        // By the configuration that counts: who was the only member once may have been removed.
        var members = Membership.Begin();
        if (Membership.Active.Count == 1 && Membership.Active.Contains(SelfId))
        {
            await Log.BeginSoleTermAsync(SelfId).ConfigureAwait(false);
        }

        var engine = new RaftEngine(
            new EngineOptions(_options.ElectionTimeoutMs, _options.HeartbeatIntervalMs),
            new EngineLogger(_logger, () => View.IsCandidate, () => View.Standing(false)))
        {
            AuditTrail = Log,
        };
        _engine = engine;
        _runningEngine = engine;
        await engine.StartAsync(members, token).ConfigureAwait(false);
        _engineStopped = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        _leadershipWatch = WatchLeadershipAsync(engine, _engineStopped.Token);
        RaiseStatusChanged();
    }

    private async Task StopEngineAsync()
    {
        if (Interlocked.Exchange(ref _runningEngine, null) is { } engine)
        {
            await _engineStopped.CancelAsync().ConfigureAwait(false);
            await engine.EndAsync().ConfigureAwait(false);
            await _leadershipWatch.ConfigureAwait(false);
        }
    }

    private void OnLogChanged()
    {
        if (Log.VotedFor == SelfId && View.Tenure is null && View.LeaderOf(Log.Term) == 0)
        {
            SayWhyItStands();
            View.Standing(true);
        }

        RaiseStatusChanged();
    }

    private void OnConfigurationChanged() => _ = SettleSoonAsync();

    private async Task SettleSoonAsync()
    {
        try
        {
            await Membership.SettleAsync(_stopping.Token).ConfigureAwait(false);
            CompareOwnAddress();
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // Stopping.
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    private void RaiseStatusChanged()
    {
        NoteHistory();
        StatusChanged?.Invoke();
    }

    [LoggerMessage(101, LogLevel.Information,
        "node {NodeId} started, listening on {ListenAddress}:{Port} for peers that dial {Host}, "
        + "term {Term}, log up to index {LastIndex}")]
    private static partial void LogStarted(
        ILogger logger, int nodeId, string listenAddress, int port, string host, long term,
        long lastIndex);

    [LoggerMessage(103, LogLevel.Warning, "a damaged snapshot was passed over: {What}")]
    private static partial void LogDamagedSnapshot(ILogger logger, string what);

    // Who awaits Failure reports it.
    [LoggerMessage(102, LogLevel.Debug, "node failed: {Reason}")]
    private static partial void LogFailed(ILogger logger, Exception exception, string reason);
}
