// Collects log lines, so that a failing test can show them and others can look for one.
// Threading: any thread. Failure: none.
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace PgRaft.Consensus.Tests.Cluster;

internal sealed class LoggerFactoryForTests : ILoggerFactory, ILogger
{
    private readonly ConcurrentQueue<Record> _records = new();

    public string Text => string.Join('\n', _records.Select(r => r.Line));

    /// <summary>What was said of an event, the oldest first.</summary>
    public IReadOnlyList<string> Of(int eventId) =>
        [.. _records.Where(r => r.EventId == eventId).Select(r => r.Text)];

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public ILogger CreateLogger(string categoryName) => this;

    public void Dispose()
    {
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            string text = formatter(state, exception);
            _records.Enqueue(new Record(
                eventId.Id, text,
                $"{DateTime.UtcNow:HH:mm:ss.fff} {logLevel} {eventId.Id} {text} {exception}"));
        }
    }

    private sealed record Record(int EventId, string Text, string Line);
}
