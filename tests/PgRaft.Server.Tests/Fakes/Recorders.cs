// What the host logs and publishes, kept for a test to look at. Threading: any thread.
using System.Collections.Concurrent;

using Microsoft.Extensions.Logging;

using PgRaft.Server.Hosting;
using PgRaft.Server.Logging;

namespace PgRaft.Server.Tests.Fakes;

internal sealed record LoggedRecord(LogLevel Level, int EventId, string Category, string Text);

internal sealed class LogRecorder : ILogSink
{
    public ConcurrentQueue<LoggedRecord> Records { get; } = new();

    public void Write(LogLevel level, int eventId, string category, string text) =>
        Records.Enqueue(new LoggedRecord(level, eventId, category, text));
}

internal sealed class StatusRecorder : IStatusSink
{
    private readonly Lock _lock = new();
    private HostStatus _last;

    public ConcurrentQueue<WorkerState> States { get; } = new();

    /// <summary>Looks at each status before it can be seen.</summary>
    public Action<HostStatus> Publishing { get; set; } = _ => { };

    /// <summary>Called before counts of requests can be seen.</summary>
    public Action PublishingRequests { get; set; } = () => { };

    public HostStatus Last
    {
        get
        {
            lock (_lock)
                return _last;
        }
    }

    public void Publish(in HostStatus status)
    {
        Publishing(status);
        lock (_lock)
        {
            if (States.IsEmpty || _last.State != status.State)
                States.Enqueue(status.State);
            _last = status;
        }
    }

    public void PublishRequests(long processed, int pending, bool isFull)
    {
        PublishingRequests();
        lock (_lock)
        {
            _last = _last with
            {
                RequestsProcessed = processed,
                RequestsPending = pending,
                QueueFull = isFull,
            };
        }
    }
}
