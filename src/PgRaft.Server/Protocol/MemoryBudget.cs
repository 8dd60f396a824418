// Bounds what all connections together may hold in large buffers, so that clients which claim, or
// fail to read, large frames cannot exhaust the worker's memory.
// Threading: any thread, lock-free. Failure: a reservation that does not fit is refused.
namespace PgRaft.Server.Protocol;

internal sealed class MemoryBudget(long limitBytes)
{
    private long _usedBytes;

    public long UsedBytes => Interlocked.Read(ref _usedBytes);

    public bool TryReserve(long bytes)
    {
        if (Interlocked.Add(ref _usedBytes, bytes) <= limitBytes)
            return true;
        Interlocked.Add(ref _usedBytes, -bytes);
        return false;
    }

    public void Release(long bytes) => Interlocked.Add(ref _usedBytes, -bytes);
}
