// A real disk that notes what was written to it, or synced, by a thread of the pool.
// Threading: as IStorageIo. Failure: the disk's.
using System.Collections.Concurrent;
using System.Diagnostics;

namespace PgRaft.Consensus.Tests.Storage;

internal sealed class WatchedIo : HookedIo
{
    private const int Callers = 6;
    private readonly ConcurrentDictionary<string, byte> _fromPool = new();

    /// <summary>What was done on the pool: the operation, and who did it.</summary>
    public IEnumerable<string> FromPool => _fromPool.Keys.Order();

    protected override void Before(IoOperation operation, string path)
    {
        if (Thread.CurrentThread.IsThreadPoolThread)
        {
            var callers = new StackTrace(2).GetFrames()
                .Select(f => f.GetMethod())
                .Where(m => m?.DeclaringType?.FullName?.StartsWith(
                    "PgRaft.Consensus", StringComparison.Ordinal) == true)
                .Select(m => $"{m!.DeclaringType!.Name}.{m.Name}")
                .Take(Callers);
            _fromPool.TryAdd(
                $"{operation} {Path.GetFileName(path)}: {string.Join(" < ", callers)}", 0);
        }
    }
}
