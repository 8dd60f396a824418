// The machine's own disk, and what a test has to say before each of its operations, and after a
// rename.
// Threading: as IStorageIo. Failure: the disk's, and what the hooks throw.
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Tests.Storage;

internal enum IoOperation
{
    Create,
    Rename,
    Delete,
    Write,
    Sync,
    SyncDirectory,
}

internal abstract class HookedIo : IStorageIo
{
    private static readonly PhysicalIo Disk = PhysicalIo.Instance;

    public IStorageFile Open(string path) => new HookedFile(this, Disk.Open(path));

    public IStorageFile OpenRead(string path) => Disk.OpenRead(path);

    public IStorageFile OpenForeign(string path) => Disk.OpenForeign(path);

    public IReadOnlyList<string> List(string directory) => Disk.List(directory);

    public bool Exists(string path) => Disk.Exists(path);

    public IStorageFile Create(string path)
    {
        Before(IoOperation.Create, path);
        return new HookedFile(this, Disk.Create(path));
    }

    public IStorageFile CreateNew(string path)
    {
        Before(IoOperation.Create, path);
        return new HookedFile(this, Disk.CreateNew(path));
    }

    public void CreateDirectory(string path)
    {
        Before(IoOperation.Create, path);
        Disk.CreateDirectory(path);
    }

    public void RenameNew(string source, string target)
    {
        Before(IoOperation.Rename, target);
        Disk.RenameNew(source, target);
        Renamed(target);
    }

    public void Rename(string source, string target)
    {
        Before(IoOperation.Rename, target);
        Disk.Rename(source, target);
        Renamed(target);
    }

    public void Delete(string path)
    {
        Before(IoOperation.Delete, path);
        Disk.Delete(path);
    }

    public void SyncDirectory(string path)
    {
        Before(IoOperation.SyncDirectory, path);
        Disk.SyncDirectory(path);
    }

    /// <summary>On the thread that is about to do it; an exception keeps it from it.</summary>
    protected abstract void Before(IoOperation operation, string path);

    /// <summary>Once a file has its name.</summary>
    protected virtual void Renamed(string path)
    {
    }

    private sealed class HookedFile(HookedIo io, IStorageFile file) : IStorageFile
    {
        public string Path => file.Path;

        public long Length => file.Length;

        public int Read(long offset, Span<byte> buffer) => file.Read(offset, buffer);

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            io.Before(IoOperation.Write, Path);
            file.Write(offset, data);
        }

        public void Sync()
        {
            io.Before(IoOperation.Sync, Path);
            file.Sync();
        }

        public void Dispose() => file.Dispose();
    }
}
