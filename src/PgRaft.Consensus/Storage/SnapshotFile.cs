// A snapshot or backup being written under a temporary name: bytes in order, summed as they pass,
// synced in small pieces with a rest after each, because the log's own syncs wait behind them.
// Threading: one thread. Failure: PgraftException from the disk; Dispose without a finished publish
// deletes the file, so nothing half-written is ever found under a snapshot's name.
using System.Diagnostics;

namespace PgRaft.Consensus.Storage;

internal sealed class SnapshotFile : IDisposable
{
    // What one sync holds up another by.
    private const int SyncEveryBytes = 1024 * 1024;
    private const int LongestRestMs = 250;

    private readonly IStorageIo _io;
    private readonly IStorageFile _file;
    private readonly string _path;
    private readonly bool _isNew;
    private readonly CancellationToken _token;
    private long _unsyncedBytes;
    private long _busyTicks;
    private bool _published;
    private bool _disposed;

    // isNew: in a directory of the client's, where nothing may be overwritten. The token ends
    // rests.
    internal SnapshotFile(
        IStorageIo io, string path, bool isNew = false, CancellationToken token = default)
    {
        _io = io;
        _path = path;
        _isNew = isNew;
        _token = token;
        _file = isNew ? io.CreateNew(path) : io.Create(path);
    }

    internal long Length { get; private set; }

    internal uint RunningChecksum { get; private set; } = Crc32C.Seed;

    // Appends; summedBytes of them, from the first, enter the checksum.
    internal void Append(ReadOnlySpan<byte> data, int summedBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        long start = Stopwatch.GetTimestamp();
        _file.Write(Length, data);
        RunningChecksum = Crc32C.Append(RunningChecksum, data[..summedBytes]);
        Length += data.Length;
        _unsyncedBytes += data.Length;
        bool isSynced = _unsyncedBytes >= SyncEveryBytes;
        if (isSynced)
        {
            _file.Sync();
            _unsyncedBytes = 0;
        }

        _busyTicks += Stopwatch.GetTimestamp() - start;
        if (isSynced)
        {
            Rest();
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

    // As long as the disk was busy with this file: half of its time is left to the log.
    private void Rest()
    {
        double busyMs = Stopwatch.GetElapsedTime(0, _busyTicks).TotalMilliseconds;
        _busyTicks = 0;
        _token.WaitHandle.WaitOne((int)Math.Ceiling(Math.Min(busyMs, LongestRestMs)));
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
