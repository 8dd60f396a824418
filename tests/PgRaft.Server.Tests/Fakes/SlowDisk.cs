// The machine's own disk, with syncs of files that take as long as a test says, and without room
// for snapshots when a test says so. Threading: any. Failure: as of the disk, and DiskFull.
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;

namespace PgRaft.Server.Tests.Fakes;

internal sealed class SlowDisk : HookedIo
{
    private long _syncTicks;
    private bool _isFull;

    /// <summary>How much longer each sync of a file takes.</summary>
    public TimeSpan SyncTime
    {
        get => new(Interlocked.Read(ref _syncTicks));
        set => Interlocked.Exchange(ref _syncTicks, value.Ticks);
    }

    /// <summary>Whether there is no room for another snapshot.</summary>
    public bool IsFull
    {
        get => Volatile.Read(ref _isFull);
        set => Volatile.Write(ref _isFull, value);
    }

    protected override void Before(IoOperation operation, string path)
    {
        if (operation == IoOperation.Create && IsFull
            && path.Contains(".snap", StringComparison.Ordinal))
        {
            throw new PgraftException(StatusCode.DiskFull, $"cannot create \"{path}\": no space");
        }

        if (operation == IoOperation.Sync)
        {
            // Nothing sets the signal: the time that a slow disk takes is what this is for.
            using var never = new ManualResetEventSlim();
            never.Wait(SyncTime);
        }
    }
}
