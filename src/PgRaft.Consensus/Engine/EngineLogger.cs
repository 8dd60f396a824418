// What the engine logs, made fit for a database's log: its chatter is dropped, its errors are kept,
// and the one line that tells of a lost election is turned into an event.
// Threading: any thread. Failure: none.
using Microsoft.Extensions.Logging;

namespace PgRaft.Consensus.Engine;

/// <summary>Filters the engine's records.</summary>
/// <param name="logger">Where the rest goes.</param>
/// <param name="isCandidate">Whether this node stands for election now.</param>
/// <param name="steppedDown">Called when the engine says it became a follower.</param>
internal sealed class EngineLogger(ILogger logger, Func<bool> isCandidate, Action steppedDown)
    : ILogger
{
    // Event ids of DotNext.Net.Cluster 6.12.0; a test compares them with the package.
    private const int DowngradedToFollower = 74001;

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) =>
        logLevel >= LogLevel.Error
        || (logLevel == LogLevel.Debug && isCandidate())
        || logger.IsEnabled(LogLevel.Debug);

    /// <inheritdoc/>
    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (eventId.Id == DowngradedToFollower)
        {
            steppedDown();
        }

        // Unreachable members and lost elections are the engine's warnings; this node says them
        // itself, once a change of state and with its own words. A call that ends with the
        // membership of whom it went to is an error to the engine, sometimes.
        var level = logLevel >= LogLevel.Error && exception is not OperationCanceledException
            ? logLevel
            : LogLevel.Debug;
        if (logger.IsEnabled(level))
        {
            logger.Log(level, eventId, state, exception, formatter);
        }
    }
}
