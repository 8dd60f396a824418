// Streams over snapshot files: writing content, reading content with its checksum verified, and
// reading a file as it is. Synchronous, bounded memory.
// Threading: one thread a stream. Failure: PgraftException from the disk; a verifying reader never
// hands out the last byte of a damaged file.

namespace PgRaft.Consensus.Storage;

/// <summary>Collects small writes.</summary>
internal sealed class SnapshotContentWriter(SnapshotFile file) : Stream
{
    private const int BufferBytes = 64 * 1024;

    private readonly byte[] _buffer = new byte[BufferBytes];
    private int _used;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (_used + buffer.Length > BufferBytes)
        {
            Drain();
        }

        if (buffer.Length >= BufferBytes)
        {
            file.Append(buffer);
            return;
        }

        buffer.CopyTo(_buffer.AsSpan(_used));
        _used += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) =>
        Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    internal void Drain()
    {
        file.Append(_buffer.AsSpan(0, _used));
        _used = 0;
    }

    public override int Read(byte[] buffer, int offset, int count) =>
        throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}

/// <summary>Reads a range of a file; optionally sums it.</summary>
internal sealed class SnapshotReadStream : Stream
{
    private readonly IStorageFile _file;
    private readonly long _start;
    private readonly SnapshotInfo? _verified;
    private long _position;
    private uint _checksum;

    // The file as it is, from the first byte to the last, or a range of it.
    internal SnapshotReadStream(IStorageFile file, long length, long start = 0)
    {
        _file = file;
        _start = start;
        Length = length;
    }

    // The state machine's content. Forward only: the checksum is verified with the last byte.
    internal SnapshotReadStream(IStorageFile file, SnapshotInfo info)
    {
        _file = file;
        _start = info.ContentOffset;
        _verified = info;
        Length = info.ContentBytes;
        byte[] header = new byte[info.ContentOffset];
        SnapshotFormat.Require(file, 0, header);
        _checksum = Crc32C.Append(Crc32C.Seed, header);
        if (Length == 0)
        {
            Verify();
        }
    }

    public override bool CanRead => true;

    public override bool CanSeek => _verified is null;

    public override bool CanWrite => false;

    public override long Length { get; }

    public override long Position
    {
        get => _position;
        set => Seek(value, SeekOrigin.Begin);
    }

    internal string Path => _file.Path;

    // How far the file has been read.
    internal long FileOffset => _start + _position;

    public override int Read(Span<byte> buffer)
    {
        int count = (int)Math.Min(buffer.Length, Math.Max(0, Length - _position));
        if (count == 0)
        {
            return 0;
        }

        SnapshotFormat.Require(_file, _start + _position, buffer[..count]);
        _position += count;
        if (_verified is not null)
        {
            _checksum = Crc32C.Append(_checksum, buffer[..count]);
            if (_position == Length)
            {
                Verify();
            }
        }

        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) =>
        Read(buffer.AsSpan(offset, count));

    public override long Seek(long offset, SeekOrigin origin)
    {
        if (!CanSeek)
        {
            throw new NotSupportedException();
        }

        long target = origin switch
        {
            SeekOrigin.Begin => offset,
            SeekOrigin.Current => _position + offset,
            _ => Length + offset,
        };
        ArgumentOutOfRangeException.ThrowIfNegative(target);
        return _position = target;
    }

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) =>
        throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _file.Dispose();
        }

        base.Dispose(disposing);
    }

    private void Verify()
    {
        Span<byte> footer = stackalloc byte[SnapshotFormat.FooterBytes];
        SnapshotFormat.Require(_file, _start + Length, footer);
        uint crc = Crc32C.Append(_checksum, footer[..^SnapshotFormat.ChecksumBytes]);
        if (Crc32C.Finish(crc) != SnapshotFormat.ReadChecksum(_file, _verified!.TotalBytes))
        {
            throw StorageErrors.Damaged(_file.Path, _start, "its checksum is wrong");
        }
    }
}
