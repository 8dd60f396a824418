// Collects log lines, so that a failing test can show them and others can look for one.
// Threading: any thread. Failure: none.
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace PgRaft.Consensus.Tests.Cluster;

internal sealed class LoggerFactoryForTests : ILoggerFactory, ILogger
{
    private readonly ConcurrentQueue<string> _lines = new();

    public string Text => string.Join('\n', _lines);

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
            _lines.Enqueue(
                $"{DateTime.UtcNow:HH:mm:ss.fff} {logLevel} {eventId.Id} {text} {exception}");
        }
    }
}
