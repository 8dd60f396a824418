// The one node of this process and what surrounds it: log ring and shared status.
// Threading: called by the worker's main thread only (the exports), with PostgreSQL's signals
// blocked, because a thread that the runtime creates on the way inherits the mask; never blocks.
// Failure: PgraftException from Start and Reload; a fatal error anywhere else is published as
// WorkerState.Error.
using System.Runtime.ExceptionServices;

using PgRaft.Core;
using PgRaft.Server.Hosting;

namespace PgRaft.Native;

internal sealed unsafe class CoreInstance
{
    private const int LogCapacity = 1024;

    private static CoreInstance? _instance;

    private readonly LogRing _log;
    private readonly SharedStatus _status;
    private NodeHost? _host;

    private CoreInstance(PgraftConfig* config, PgraftStatus* status)
    {
        var wake = new WakeEvent(config->WakeFd);
        _log = new LogRing(LogCapacity, wake);
        _status = new SharedStatus(
            status, config->Epoch, config->NodeId, ConfigReader.ReadAnswers(config), wake,
            () => _log.Dropped);
    }

    /// <summary>The node; null before Start.</summary>
    public static CoreInstance? Current => _instance;

    /// <summary>Starts the node in the background.</summary>
    /// <exception cref="PgraftException">Wrong settings, also published as the worker's error; or
    /// a second start.</exception>
    public static void Start(PgraftConfig* config, PgraftStatus* status)
    {
        ConfigReader.CheckAbi(config);
        if (_instance is not null)
            throw new PgraftException(StatusCode.WrongState, "the core has been started already");
        _instance = new CoreInstance(config, status);
        _instance.StartHost(config);
    }

    /// <summary>Takes over what may change at run time.</summary>
    public void Reload(PgraftConfig* config)
    {
        var options = ConfigReader.Read(config);
        _host?.Reload(options);
    }

    public void RequestStop()
    {
        if (_host is { } host)
            _ = Task.Run(host.StopAsync);
    }

    public bool TryTakeLog(PgraftLogRecord* record) => _log.TryTake(record);

    /// <summary>Reports what nothing else could handle.</summary>
    public void Fail(Exception exception)
    {
        if (_host is { } host)
            host.FailFromOutside(exception);
        else
            _status.PublishError(NodeHost.Described(exception));
    }

    private void StartHost(PgraftConfig* config)
    {
        try
        {
            InlineCompletions.Enable();
            CatchUnhandled();
            var options = ConfigReader.Read(config);
            var host = new NodeHost(options, NodeHost.CreateRaftNode, _status, _log);
            _host = host;
            _ = Task.Run(host.StartAsync);
        }
        catch (Exception e)
        {
            _status.PublishError(NodeHost.Described(e));
            throw;
        }
    }

    // An exception that leaves a thread would abort the process, and with it every backend: the
    // node ends instead, and the worker's main thread leaves in order.
    private void CatchUnhandled()
    {
        ExceptionHandling.SetUnhandledExceptionHandler(e =>
        {
            Fail(e);
            return true;
        });
        TaskScheduler.UnobservedTaskException += (_, unobserved) =>
        {
            unobserved.SetObserved();
            _host?.ReportUnobserved(unobserved.Exception);
        };
    }
}
