// The logging of the core: Information and above always, Debug when somebody asked for it. Small
// because the stock factory brings options, filters and providers that nothing here needs.
// Threading: any thread. Failure: none; the sink drops and counts what it cannot take.
using System.Collections.Concurrent;

using Microsoft.Extensions.Logging;

namespace PgRaft.Server.Logging;

internal sealed class SinkLoggerFactory(ILogSink sink, Func<bool> isDebug, TimeProvider clock)
    : ILoggerFactory
{
    private readonly LogThrottle _throttle = new(clock);
    private readonly ConcurrentDictionary<string, ILogger> _loggers = new(StringComparer.Ordinal);

    public ILogger CreateLogger(string categoryName) =>
        _loggers.GetOrAdd(categoryName, name => new SinkLogger(name, sink, _throttle, isDebug));

    public void AddProvider(ILoggerProvider provider) =>
        throw new NotSupportedException("The core has one sink.");

    public void Dispose() => _throttle.Dispose();

    private sealed class SinkLogger(
        string category, ILogSink sink, LogThrottle throttle, Func<bool> isDebug)
        : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel switch
        {
            LogLevel.None => false,
            LogLevel.Trace => false,
            LogLevel.Debug => isDebug(),
            _ => true,
        };

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
                return;
            if (throttle.MayWrite(logLevel, eventId.Id, Write))
                Write(0);

            void Write(long leftOut)
            {
                string text = LogText.OneLine(Text(formatter(state, exception), exception));
                if (leftOut > 0)
                    text += FormattableString.Invariant($" ({leftOut} more like it were left out)");
                sink.Write(logLevel, eventId.Id, category, text);
            }
        }

        private string Text(string text, Exception? exception)
        {
            if (exception is null)
                return text;
            return isDebug() ? $"{text}: {exception}" : $"{text}: {ErrorText.Of(exception)}";
        }
    }
}
