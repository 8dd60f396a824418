// What of the engine's own log comes through.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Engine;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class EngineLoggerTests
{
    private readonly List<(LogLevel Level, string Text)> _lines = [];

    [Fact]
    public void ErrorsComeThroughAndTheRestIsChatter()
    {
        var logger = new EngineLogger(new Recorder(_lines), () => false, () => { });

        Log(logger, LogLevel.Warning, "nobody is there", null);
        Log(logger, LogLevel.Error, "it failed", new IOException("a defect"));

        Assert.Equal([(LogLevel.Debug, "nobody is there"), (LogLevel.Error, "it failed")], _lines);
    }

    // Removing a member cancels the calls to it.
    [Fact]
    public void ACancelledCallIsNoError()
    {
        var logger = new EngineLogger(new Recorder(_lines), () => false, () => { });

        Log(logger, LogLevel.Error, "it failed", new OperationCanceledException());

        Assert.Equal([(LogLevel.Debug, "it failed")], _lines);
    }

    private static void Log(
        EngineLogger logger, LogLevel level, string text, Exception? exception) =>
        logger.Log(level, default, text, exception, static (words, _) => words);

    private sealed class Recorder(List<(LogLevel Level, string Text)> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            lines.Add((logLevel, formatter(state, exception)));
    }
}
