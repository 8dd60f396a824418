// Counts requests and bounds how many run at once. Threading: any thread, lock-free.
// Failure: a request beyond the bound is refused.
namespace PgRaft.Server.Requests;

internal sealed class RequestCounters(int limit)
{
    private int _pending;
    private long _processed;

    /// <summary>Raised after a number has changed, on the request's thread.</summary>
    public event Action? Changed;

    /// <summary>Requests running now, 0..limit.</summary>
    public int Pending => Math.Min(Volatile.Read(ref _pending), limit);

    /// <summary>Requests answered since start, errors included.</summary>
    public long Processed => Interlocked.Read(ref _processed);

    public bool IsFull => Volatile.Read(ref _pending) >= limit;

    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _pending) > limit)
        {
            Interlocked.Decrement(ref _pending);
            return false;
        }

        Changed?.Invoke();
        return true;
    }

    public void Leave()
    {
        Interlocked.Decrement(ref _pending);
        Interlocked.Increment(ref _processed);
        Changed?.Invoke();
    }
}
