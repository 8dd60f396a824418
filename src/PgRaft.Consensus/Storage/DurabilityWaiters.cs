// Who waits for which index to be on disk.
// Threading: the owner's lock guards all. Most continuations run elsewhere; those that asked for it
// run on the thread that completes them, which therefore must not hold that lock: TakeUpTo under
// the lock, Complete after it. Failure: none.
namespace PgRaft.Consensus.Storage;

internal sealed class DurabilityWaiters
{
    private PriorityQueue<TaskCompletionSource, long> _waiting = new();

    internal Task Add(long index, bool continueOnWriter = false)
    {
        var waiter = new TaskCompletionSource(
            continueOnWriter
                ? TaskCreationOptions.None
                : TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Enqueue(waiter, index);
        return waiter.Task;
    }

    /// <summary>Moves those that wait for the index or less to a list.</summary>
    internal void TakeUpTo(long durableIndex, List<TaskCompletionSource> due)
    {
        while (_waiting.TryPeek(out TaskCompletionSource? waiter, out long index)
            && index <= durableIndex)
        {
            _waiting.Dequeue();
            due.Add(waiter);
        }
    }

    /// <summary>Completes and forgets them.</summary>
    internal static void Complete(List<TaskCompletionSource> due)
    {
        foreach (TaskCompletionSource waiter in due)
        {
            waiter.SetResult();
        }

        due.Clear();
    }

    /// <summary>Completes those that wait for the index or less, under the owner's lock.</summary>
    internal void CompleteElsewhere(long durableIndex)
    {
        while (_waiting.TryPeek(out _, out long index) && index <= durableIndex)
        {
            OnPool(_waiting.Dequeue(), static waiter => waiter.SetResult());
        }
    }

    // Fails those that wait for the index or a later one: what they waited for is no longer.
    internal void FailFrom(long firstIndex, Func<Exception> reason)
    {
        var kept = new PriorityQueue<TaskCompletionSource, long>();
        while (_waiting.TryDequeue(out TaskCompletionSource? waiter, out long index))
        {
            if (index < firstIndex)
            {
                kept.Enqueue(waiter, index);
            }
            else
            {
                OnPool(waiter, w => w.SetException(reason()));
            }
        }

        _waiting = kept;
    }

    private static void OnPool(TaskCompletionSource waiter, Action<TaskCompletionSource> end) =>
        ThreadPool.UnsafeQueueUserWorkItem(end, waiter, preferLocal: false);
}
