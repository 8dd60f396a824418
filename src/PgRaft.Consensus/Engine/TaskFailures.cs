// Tasks that nobody may look at again: the runtime would report their failures.
// Threading: any thread. Failure: none.
namespace PgRaft.Consensus.Engine;

internal static class TaskFailures
{
    /// <summary>Takes note of a failure, whenever it comes. Others may wait for the task all the
    /// same.</summary>
    public static void Observe(this Task task) => task.ContinueWith(
        static t => _ = t.Exception, CancellationToken.None,
        TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
        TaskScheduler.Default);
}
