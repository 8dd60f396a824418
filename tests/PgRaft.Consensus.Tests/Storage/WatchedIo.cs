// A real disk that notes what was written to it, or synced, by a thread of the pool.
// Threading: as IStorageIo. Failure: the disk's.
using System.Collections.Concurrent;
using System.Diagnostics;
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Tests.Storage;

internal sealed class WatchedIo : IStorageIo
{
    private readonly PhysicalIo _io = PhysicalIo.Instance;
    private readonly ConcurrentDictionary<string, byte> _fromPool = new();

    /// <summary>What was done on the pool: the operation, and who did it.</summary>
    public IEnumerable<string> FromPool => _fromPool.Keys.Order();

    public IStorageFile Open(string path) => Watch(_io.Open(path));

    public IStorageFile OpenRead(string path) => _io.OpenRead(path);

    public IStorageFile Create(string path)
    {
        Note("create", path);
        return Watch(_io.Create(path));
    }

    public IStorageFile CreateNew(string path)
    {
        Note("create", path);
        return Watch(_io.CreateNew(path));
    }

    public IStorageFile OpenForeign(string path) => _io.OpenForeign(path);

    public void RenameNew(string source, string target)
    {
        Note("rename", target);
        _io.RenameNew(source, target);
    }

    public void Rename(string source, string target)
    {
        Note("rename", target);
        _io.Rename(source, target);
    }

    public void Delete(string path)
    {
        Note("delete", path);
        _io.Delete(path);
    }

    public IReadOnlyList<string> List(string directory) => _io.List(directory);

    public bool Exists(string path) => _io.Exists(path);

    public void CreateDirectory(string path)
    {
        Note("create", path);
        _io.CreateDirectory(path);
    }

    public void SyncDirectory(string path)
    {
        Note("sync", path);
        _io.SyncDirectory(path);
    }

    private WatchedFile Watch(IStorageFile file) => new(this, file);

    private void Note(string operation, string path)
    {
        if (Thread.CurrentThread.IsThreadPoolThread)
        {
            var callers = new StackTrace(2).GetFrames()
                .Select(f => f.GetMethod())
                .Where(m => m?.DeclaringType?.FullName?.StartsWith(
                    "PgRaft.Consensus", StringComparison.Ordinal) == true)
                .Select(m => $"{m!.DeclaringType!.Name}.{m.Name}")
                .Take(6);
            _fromPool.TryAdd(
                $"{operation} {Path.GetFileName(path)}: {string.Join(" < ", callers)}", 0);
        }
    }

    private sealed class WatchedFile(WatchedIo io, IStorageFile file) : IStorageFile
    {
        public string Path => file.Path;

        public long Length => file.Length;

        public int Read(long offset, Span<byte> buffer) => file.Read(offset, buffer);

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            io.Note("write", Path);
            file.Write(offset, data);
        }

        public void Sync()
        {
            io.Note("sync", Path);
            file.Sync();
        }

        public void Dispose() => file.Dispose();
    }
}
