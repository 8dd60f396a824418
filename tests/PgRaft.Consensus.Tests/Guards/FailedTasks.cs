// Failed tasks that nobody has looked at, as the runtime reports them when they are collected.
// Threading: any. Failure: none.
namespace PgRaft.Consensus.Tests.Guards;

internal static class FailedTasks
{
    /// <summary>How many are left by what is done.</summary>
    /// <param name="text">In their errors and in those of no other test: the runtime reports what
    /// is left of all of them.</param>
    /// <param name="act">Its objects must be garbage when it returns: not inlined.</param>
    public static async Task<int> LeftByAsync(string text, Func<Task> act)
    {
        int left = 0;
        void Count(object? sender, UnobservedTaskExceptionEventArgs args)
        {
            if (args.Exception.ToString().Contains(text, StringComparison.Ordinal))
            {
                Interlocked.Increment(ref left);
            }
        }

        TaskScheduler.UnobservedTaskException += Count;
        try
        {
            await act();
            for (int collection = 0; collection < 3; collection++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= Count;
        }

        return left;
    }
}
