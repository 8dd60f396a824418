// Who waits for which index to be on disk.
// Threading: the owner's lock guards all; completions run their continuations elsewhere
// (RunContinuationsAsynchronously), so they may be made under it. Failure: none.
namespace PgRaft.Consensus.Storage;

internal sealed class DurabilityWaiters
{
    private PriorityQueue<TaskCompletionSource, long> _waiting = new();

    internal Task Add(long index)
    {
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Enqueue(waiter, index);
        return waiter.Task;
    }

    internal void Complete(long durableIndex)
    {
        while (_waiting.TryPeek(out TaskCompletionSource? waiter, out long index)
            && index <= durableIndex)
        {
            _waiting.Dequeue();
            waiter.SetResult();
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
                waiter.SetException(reason());
            }
        }

        _waiting = kept;
    }
}
