// The machine's own disk, with syncs that take as long as a test says, and without room for
// snapshots when a test says so. Threading: any. Failure: as of the disk, and DiskFull.
using PgRaft.Consensus.Storage;
using PgRaft.Core;

namespace PgRaft.Server.Tests.Fakes;

internal sealed class SlowDisk : IStorageIo
{
    private static readonly PhysicalIo Disk = PhysicalIo.Instance;
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

    public IStorageFile Open(string path) => new SlowFile(this, Disk.Open(path));

    public IStorageFile OpenRead(string path) => Disk.OpenRead(path);

    public IStorageFile Create(string path) => IsFull
        && path.Contains(".snap", StringComparison.Ordinal)
        ? throw new PgraftException(StatusCode.DiskFull, $"cannot create \"{path}\": no space")
        : new SlowFile(this, Disk.Create(path));

    public IStorageFile CreateNew(string path) => Disk.CreateNew(path);

    public IStorageFile OpenForeign(string path) => Disk.OpenForeign(path);

    public void RenameNew(string source, string target) => Disk.RenameNew(source, target);

    public void Rename(string source, string target) => Disk.Rename(source, target);

    public void Delete(string path) => Disk.Delete(path);

    public IReadOnlyList<string> List(string directory) => Disk.List(directory);

    public bool Exists(string path) => Disk.Exists(path);

    public void CreateDirectory(string path) => Disk.CreateDirectory(path);

    public void SyncDirectory(string path) => Disk.SyncDirectory(path);

    private sealed class SlowFile(SlowDisk disk, IStorageFile file) : IStorageFile
    {
        public string Path => file.Path;

        public long Length => file.Length;

        public int Read(long offset, Span<byte> buffer) => file.Read(offset, buffer);

        public void Write(long offset, ReadOnlySpan<byte> data) => file.Write(offset, data);

        // Nothing sets the signal: the time that a slow disk takes is what this is for.
        public void Sync()
        {
            using var never = new ManualResetEventSlim();
            never.Wait(disk.SyncTime);
            file.Sync();
        }

        public void Dispose() => file.Dispose();
    }
}
