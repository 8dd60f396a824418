// The real file system behind IStorageIo. Threading: stateless but for each file's own handle,
// whose reads and writes carry their offset. Failure: PgraftException naming the file; a disposed
// file throws ObjectDisposedException, which the log takes for "compacted meanwhile".
using Microsoft.Win32.SafeHandles;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal sealed class PhysicalIo : IStorageIo
{
    private const UnixFileMode OwnerOnly =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private const UnixFileMode FileMode0600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    internal static readonly PhysicalIo Instance = new();

    public IStorageFile Open(string path) => OpenFile(path, FileMode.Open, FileAccess.ReadWrite);

    public IStorageFile OpenRead(string path) => OpenFile(path, FileMode.Open, FileAccess.Read);

    public IStorageFile Create(string path) =>
        OpenFile(path, FileMode.Create, FileAccess.ReadWrite);

    public IStorageFile CreateNew(string path) => new OpenedFile(path, Libc.CreateNew(path));

    public IStorageFile OpenForeign(string path)
    {
        SafeFileHandle handle = Libc.OpenForeign(path);
        if (HasLength(handle) && !Directory.Exists(path))
        {
            return new OpenedFile(path, handle);
        }

        handle.Dispose();
        throw new PgraftException(StatusCode.BadArgument, $"\"{path}\" is not a regular file");
    }

    public void RenameNew(string source, string target) => Libc.RenameNew(source, target);

    public void Rename(string source, string target) =>
        Do("rename", source, () => System.IO.File.Move(source, target, overwrite: true));

    public void Delete(string path) => Do("delete", path, () => System.IO.File.Delete(path));

    public IReadOnlyList<string> List(string directory)
    {
        string[] names = [];
        Do("list", directory, () => names = Directory.GetFiles(directory));
        return Array.ConvertAll(names, name => Path.GetFileName(name));
    }

    public bool Exists(string path) => System.IO.File.Exists(path);

    public void CreateDirectory(string path)
    {
        if (Directory.Exists(path))
        {
            return;
        }

        Do("create directory", path, () => Directory.CreateDirectory(path, OwnerOnly));
        string? parent = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(path));
        SyncDirectory(string.IsNullOrEmpty(parent) ? "." : parent);
    }

    public void SyncDirectory(string path) => Libc.SyncDirectory(path);

    // Pipes and sockets have none.
    private static bool HasLength(SafeFileHandle handle)
    {
        try
        {
            return RandomAccess.GetLength(handle) >= 0;
        }
        catch (Exception e) when (e is NotSupportedException || StorageErrors.IsExpected(e))
        {
            return false;
        }
    }

    private static void Do(string action, string path, Action body)
    {
        try
        {
            body();
        }
        catch (Exception e) when (StorageErrors.IsExpected(e))
        {
            throw StorageErrors.FromException(e, action, path);
        }
    }

    private static OpenedFile OpenFile(string path, FileMode mode, FileAccess access)
    {
        try
        {
            SafeFileHandle handle = System.IO.File.OpenHandle(
                path, mode, access, FileShare.ReadWrite | FileShare.Delete);
            if (mode == FileMode.Create)
            {
                System.IO.File.SetUnixFileMode(handle, FileMode0600);
            }

            return new OpenedFile(path, handle);
        }
        catch (Exception e) when (StorageErrors.IsExpected(e))
        {
            throw StorageErrors.FromException(e, mode == FileMode.Create ? "create" : "open", path);
        }
    }

    private sealed class OpenedFile(string path, SafeFileHandle handle) : IStorageFile
    {
        public string Path => path;

        public long Length => RandomAccess.GetLength(handle);

        public int Read(long offset, Span<byte> buffer)
        {
            try
            {
                int total = 0;
                int read;
                do
                {
                    read = RandomAccess.Read(handle, buffer[total..], offset + total);
                    total += read;
                }
                while (read > 0 && total < buffer.Length);

                return total;
            }
            catch (Exception e) when (StorageErrors.IsExpected(e))
            {
                throw StorageErrors.FromException(e, $"read offset {offset} of", path);
            }
        }

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            try
            {
                RandomAccess.Write(handle, data, offset);
            }
            catch (Exception e) when (StorageErrors.IsExpected(e))
            {
                throw StorageErrors.FromException(e, $"write offset {offset} of", path);
            }
        }

        public void Sync() => Libc.SyncData(handle, path);

        public void Dispose() => handle.Dispose();
    }
}
