// People waiting for an index to be reached: committed, or applied.
// Threading: any thread; continuations run elsewhere. Failure: none; a cancelled wait leaves
// nothing behind.
namespace PgRaft.Consensus.Apply;

/// <summary>Waits for a number that only grows.</summary>
internal sealed class IndexWaiters
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<(long Index, long Ticket), TaskCompletionSource> _waiting =
        [];
    private long _lastTicket;

    /// <summary>
    /// Waits until <paramref name="current"/> is at least <paramref name="index"/>.
    /// </summary>
    public async ValueTask WaitAsync(long index, Func<long> current, CancellationToken token)
    {
        if (current() >= index)
        {
            return;
        }

        var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        (long, long) key;
        lock (_gate)
        {
            key = (index, ++_lastTicket);
            _waiting.Add(key, source);
        }

        try
        {
            // Looked at again after registering: the index may have been reached in between.
            if (current() < index)
            {
                await source.Task.WaitAsync(token).ConfigureAwait(false);
            }
        }
        finally
        {
            lock (_gate)
            {
                _waiting.Remove(key);
            }
        }
    }

    /// <summary>Wakes everybody who waits for <paramref name="index"/> or less.</summary>
    public void Reached(long index)
    {
        lock (_gate)
        {
            while (_waiting.Count > 0)
            {
                var (key, source) = _waiting.First();
                if (key.Index > index)
                {
                    return;
                }

                _waiting.Remove(key);
                source.TrySetResult();
            }
        }
    }
}
