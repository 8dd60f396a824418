// A snapshot or backup being written under a temporary name: bytes in order, summed as they pass,
// synced every so often so that the last sync does not hold up the log's for seconds.
// Threading: one thread. Failure: PgraftException from the disk; Dispose without a finished publish
// deletes the file, so nothing half-written is ever found under a snapshot's name.
namespace PgRaft.Consensus.Storage;

internal sealed class SnapshotFile : IDisposable
{
    private const int SyncEveryBytes = 16 * 1024 * 1024;

    private readonly IStorageIo _io;
    private readonly IStorageFile _file;
    private readonly string _path;
    private readonly bool _isNew;
    private long _unsyncedBytes;
    private bool _published;
    private bool _disposed;

    // isNew: in a directory of the client's, where nothing may be overwritten.
    internal SnapshotFile(IStorageIo io, string path, bool isNew = false)
    {
        _io = io;
        _path = path;
        _isNew = isNew;
        _file = isNew ? io.CreateNew(path) : io.Create(path);
    }

    internal long Length { get; private set; }

    internal uint RunningChecksum { get; private set; } = Crc32C.Seed;

    // Appends; summedBytes of them, from the first, enter the checksum.
    internal void Append(ReadOnlySpan<byte> data, int summedBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _file.Write(Length, data);
        RunningChecksum = Crc32C.Append(RunningChecksum, data[..summedBytes]);
        Length += data.Length;
        _unsyncedBytes += data.Length;
        if (_unsyncedBytes >= SyncEveryBytes)
        {
            _file.Sync();
            _unsyncedBytes = 0;
        }
    }

    internal void Append(ReadOnlySpan<byte> data) => Append(data, data.Length);

    // What the file says of itself; whether that is right is the caller's question.
    internal SnapshotInfo ReadInfo() => SnapshotFormat.ReadInfo(_file);

    internal uint ReadChecksum() => SnapshotFormat.ReadChecksum(_file, Length);

    internal void Publish(string path)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _file.Sync();
        if (_isNew)
        {
            _io.RenameNew(_path, path);
        }
        else
        {
            _io.Rename(_path, path);
        }

        _published = true;
        _io.SyncDirectory(Path.GetDirectoryName(path)!);
    }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _file.Dispose();
        if (!_published)
        {
            AtomicFile.TryDelete(_io, _path);
        }
    }
}
