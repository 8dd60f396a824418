// Ties one node together: consensus, requests, compaction, published status; and gives it a life
// that the outside can follow (WorkerState).
// Threading: StartAsync, Reload and StopAsync are called one after another; requests and the node's
// events come from any thread. Failure: StartAsync and StopAsync never throw; a node that cannot
// start, or fails later, ends in WorkerState.Error with the reason, its parts stopped.
using Microsoft.Extensions.Logging;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Http;
using PgRaft.Server.Logging;
using PgRaft.Server.Metrics;
using PgRaft.Server.Protocol;
using PgRaft.Server.Requests;
using PgRaft.Server.Sockets;

namespace PgRaft.Server.Hosting;

internal delegate IRaftNode NodeFactory(
    NodeOptions options, StateMachine state, ILoggerFactory loggers);

internal sealed class NodeHost : IAsyncDisposable
{
    private const int MaxConnections = 1000;
    private const int MaxRunningRequests = Limits.MaxSlotsPerSession;
    private const long LargeBuffersBytes = 512L * 1024 * 1024;

    private readonly HostOptions _options;
    private readonly NodeFactory _createNode;
    private readonly SinkLoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly ServerSettings _settings;
    private readonly RequestCounters _counters = new(MaxRunningRequests);
    private readonly StatusPublisher _publisher;
    private readonly StateMachine _state = new();
    private readonly FindingReport _findings;
    private readonly NodeReport _report;
    private readonly HttpEndpoint _http;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _lifecycle = new(1, 1);
    private IRaftNode? _node;
    private LeadershipWatch? _watch;
    private RequestServer? _server;
    private AutoCompaction? _compaction;
    private HeavyWork? _heavy;
    private Task? _httpStop;
    private Task _watchingFailure = Task.CompletedTask;

    public NodeHost(HostOptions options, NodeFactory createNode, IStatusSink status, ILogSink logs)
    {
        _options = options;
        _createNode = createNode;
        _settings = new ServerSettings(options.MaxValueBytes, options.Debug);
        _loggers = new SinkLoggerFactory(
            logs, () => _settings.IsDebug, TimeProvider.System);
        _logger = _loggers.CreateLogger("server");
        _publisher = new StatusPublisher(status, _counters, options.Answers);
        _publisher.Publish();
        _findings = new FindingReport(options.Node, options.Findings, HttpTrouble);
        _report = new NodeReport(options.Node, _publisher, _state, _counters, _findings);
        _http = new HttpEndpoint(new HttpRoutes(_report, new MetricsPage(_report)), _logger);
    }

    /// <summary>Makes the real thing; tests put another in its place.</summary>
    public static IRaftNode CreateRaftNode(
        NodeOptions options, StateMachine state, ILoggerFactory loggers) =>
        new RaftNode(options, state, loggers);

    public WorkerState State => _publisher.State;

    public StateMachine StateMachine => _state;

    /// <summary>Connections to the request socket now.</summary>
    public int Connections => _server?.Connections ?? 0;

    /// <summary>Whether HTTP is served as the settings want it.</summary>
    public bool IsServingHttp => _http.IsServing;

    /// <summary>Starts the node and then accepts requests. Ends in Waiting, Running or Error.
    /// </summary>
    public async Task StartAsync()
    {
        await _lifecycle.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_stopping.IsCancellationRequested)
                return;
            _logger.Starting(
                _options.Node.Self.NodeId, _options.Node.ClusterId, _options.Node.Version);
            _http.Apply(_options.Http);
            await StartPartsAsync().ConfigureAwait(false);
            LogState();
        }
        catch (Exception e)
        {
            await FailAsync(e).ConfigureAwait(false);
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    /// <summary>Takes over the settings that may change at run time; ignores the others.</summary>
    public void Reload(HostOptions options)
    {
        _settings.Reload(options.MaxValueBytes, options.Debug);
        _findings.Reload(options.Findings);
        _compaction?.SetThreshold(options.Node.Runtime.CompactionThresholdRevisions);
        _node?.Reload(options.Node.Runtime);
        _http.Apply(options.Http);
    }

    /// <summary>Ends in Stopped, or stays in Error. May be called more than once.</summary>
    public async Task StopAsync()
    {
        // While requests are still served: what other members pass on meanwhile waits, and is sent
        // to the new leader by them.
        if (State == WorkerState.Running)
            await AttemptAsync(_node?.PrepareToStopAsync()).ConfigureAwait(false);

        // Before the lock: a start that is under way gives up.
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _lifecycle.WaitAsync().ConfigureAwait(false);
        try
        {
            await AttemptAsync(_httpStop ??= _http.DisposeAsync().AsTask()).ConfigureAwait(false);
            await StopPartsAsync().ConfigureAwait(false);

            // Before the state, on which the worker leaves and takes the log with it.
            if (State is not (WorkerState.Stopped or WorkerState.Error))
                _logger.Stopped(_options.Node.Self.NodeId);
            _publisher.SetStopped();
        }
        finally
        {
            _lifecycle.Release();
        }

        await _watchingFailure.ConfigureAwait(false);
    }

    /// <summary>Reports a failure that no part of the node could handle; its parts are stopped in
    /// the background.</summary>
    public void FailFromOutside(Exception exception)
    {
        ReportFailure(exception);
        _ = Task.Run(StopFailedAsync);
    }

    /// <summary>Logs the failure of a task that nobody waited for.</summary>
    public void ReportUnobserved(AggregateException failure)
    {
        var logger = _loggers.CreateLogger("core");
        if (UnobservedFailure.IsEnding(failure))
            logger.TaskEnded(failure);
        else
            logger.TaskFailed(failure);
    }

    /// <summary>The exception as an error with a status, whatever it was.</summary>
    public static PgraftException Described(Exception exception) =>
        exception as PgraftException ?? new PgraftException(
            StatusCode.Internal,
            "the node has failed",
            $"{exception.GetType().Name}: {exception.Message}",
            null,
            exception);

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        _loggers.Dispose();
        _stopping.Dispose();
        _lifecycle.Dispose();
    }

    private async Task StartPartsAsync()
    {
        var node = _createNode(_options.Node, _state, _loggers);
        _node = node;
        _watch = new LeadershipWatch(node);
        _heavy = new HeavyWork();
        var dispatcher = CreateDispatcher(node, _watch, _heavy);
        node.ForwardHandler = dispatcher.ExecuteForwardedAsync;
        _publisher.Attach(node);
        _compaction = new AutoCompaction(
            node,
            _state,
            _options.Node.Runtime.CompactionThresholdRevisions,
            _logger,
            _stopping.Token);
        await node.StartAsync(_stopping.Token).ConfigureAwait(false);

        // Not before: until it has started it has nothing to report, and says so by throwing.
        _report.Attach(node);
        string path = Path.Combine(_options.Node.DataDirectory, Wire.SocketName);
        var server = new RequestServer(path, dispatcher, _logger, MaxConnections);
        server.Start();
        _server = server;
        _report.Attach(server);
        _publisher.SetServing();
        _watchingFailure = WatchFailureAsync(node);
    }

    private RequestDispatcher CreateDispatcher(
        IRaftNode node, LeadershipWatch watch, HeavyWork heavy)
    {
        var identity = new NodeIdentity(_options.Node.Self.NodeId, _options.Node.Version);
        var errors = new ClusterErrors(node, watch, identity.NodeId);
        var router = new LeaderRouter(node, watch, errors);
        var proposals = new ProposalRouter(node, watch, errors, new RequestSession(_state));
        return new RequestDispatcher(
            new ClusterRequests(node, router, errors, _settings, identity),
            new LogRequests(node, _state, proposals, router, errors, _settings, heavy, identity),
            new KvRequests(node, _state, proposals, router, _settings, heavy),
            new RecoveryRequests(node, router, errors, _options.Node.ClusterId),
            new HealthRequests(node, _findings),
            _counters,
            _report.Requests,
            new MemoryBudget(LargeBuffersBytes),
            _logger,
            _stopping.Token);
    }

    private async Task WatchFailureAsync(IRaftNode node)
    {
        PgraftException failure;
        try
        {
            failure = await node.Failure.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return;
        }
        catch (Exception e)
        {
            failure = Described(e);
        }

        ReportFailure(failure);
        await StopFailedAsync().ConfigureAwait(false);
    }

    // The log comes before the state, on which the worker leaves and takes the log with it.
    private void ReportFailure(Exception exception)
    {
        _logger.NodeFailed(exception);
        _publisher.SetError(Described(exception));
    }

    private async Task StopFailedAsync()
    {
        await _lifecycle.WaitAsync().ConfigureAwait(false);
        try
        {
            await _stopping.CancelAsync().ConfigureAwait(false);
            await StopPartsAsync().ConfigureAwait(false);
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    // A start that failed. The report comes first: whoever waits for the state must not wait for
    // parts that may hang.
    private async Task FailAsync(Exception exception)
    {
        if (exception is OperationCanceledException && _stopping.IsCancellationRequested)
        {
            await StopPartsAsync().ConfigureAwait(false);
            return;
        }

        ReportFailure(exception);
        await _stopping.CancelAsync().ConfigureAwait(false);
        await StopPartsAsync().ConfigureAwait(false);
    }

    private async Task StopPartsAsync()
    {
        await AttemptAsync(_server?.DisposeAsync().AsTask()).ConfigureAwait(false);
        _report.Detach();
        _server = null;
        _compaction?.Dispose();
        _compaction = null;
        if (_node is { } node)
        {
            await AttemptAsync(node.StopAsync(CancellationToken.None)).ConfigureAwait(false);
            _publisher.Detach();
            await AttemptAsync(node.DisposeAsync().AsTask()).ConfigureAwait(false);
        }

        _watch?.Dispose();
        _watch = null;
        _node = null;
        _heavy?.Dispose();
        _heavy = null;
    }

    private async Task AttemptAsync(Task? stopping)
    {
        try
        {
            await (stopping ?? Task.CompletedTask).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _logger.StopFailed(e);
        }
    }

    // Asked of a node that serves, when there is an endpoint.
    private string? HttpTrouble() => _http.Trouble;

    private void LogState() =>
        _logger.StateChanged(_options.Node.Self.NodeId, State.ToString().ToLowerInvariant());
}
