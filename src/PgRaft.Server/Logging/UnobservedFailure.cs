// How loudly to report the exception of a task that nobody awaited.
// Threading: none needed. Failure: none.
using Microsoft.Extensions.Logging;

namespace PgRaft.Server.Logging;

internal static class UnobservedFailure
{
    /// <summary>Debug for what only says that something ended, Error for everything else.</summary>
    /// <remarks>The engine leaves such tasks behind when it is disposed; they are harmless.
    /// </remarks>
    public static LogLevel LevelOf(AggregateException failure)
    {
        bool isEnding = failure.Flatten().InnerExceptions.All(
            inner => inner is ObjectDisposedException or OperationCanceledException);
        return isEnding ? LogLevel.Debug : LogLevel.Error;
    }
}
