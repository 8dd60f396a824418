// Whether the exception of a task that nobody awaited is worth an error in the log.
// Threading: none needed. Failure: none.
namespace PgRaft.Server.Logging;

internal static class UnobservedFailure
{
    /// <summary>Whether it only says that something ended.</summary>
    /// <remarks>The engine leaves such tasks behind when it is disposed; they are harmless.
    /// </remarks>
    public static bool IsEnding(AggregateException failure) =>
        failure.Flatten().InnerExceptions.All(
            inner => inner is ObjectDisposedException or OperationCanceledException);
}
