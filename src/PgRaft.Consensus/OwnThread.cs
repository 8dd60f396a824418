// Where whatever may wait for a disk or a name server runs, or computes for long: a thread of its
// own. The thread pool, on which heartbeats depend, has one thread as a rule (docs/adr/0011), and
// makes up for one that stands still only after half a second.
// Threading: any thread, but not under a lock. Failure: as what runs there.
using System.Runtime.CompilerServices;

namespace PgRaft.Consensus;

/// <summary>Leaves the thread pool.</summary>
public static class OwnThread
{
    private const TaskCreationOptions Options =
        TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach;

    /// <summary><c>await OwnThread.Begin()</c>: the rest of the method, up to where it waits for
    /// something, runs on a thread of its own.</summary>
    public static Switch Begin() => default;

    /// <summary>Runs work there.</summary>
    /// <param name="work">Must look at the token itself.</param>
    /// <param name="token">Cancelled before the work has begun, it never does.</param>
    public static Task<T> RunAsync<T>(Func<T> work, CancellationToken token) =>
        Task.Factory.StartNew(work, token, Options, TaskScheduler.Default);

    /// <summary>What is awaited.</summary>
    public readonly struct Switch : ICriticalNotifyCompletion
    {
        /// <summary>Never: it always changes the thread.</summary>
        public bool IsCompleted => false;

        /// <summary>For <c>await</c>.</summary>
        public Switch GetAwaiter() => this;

        /// <summary>For <c>await</c>.</summary>
        public void GetResult()
        {
        }

        /// <inheritdoc/>
        public void OnCompleted(Action continuation) => NewThread(continuation).Start();

        /// <inheritdoc/>
        public void UnsafeOnCompleted(Action continuation) => NewThread(continuation).UnsafeStart();

        private static Thread NewThread(Action continuation) =>
            new(continuation.Invoke) { Name = "pgraft own", IsBackground = true };
    }
}
