// Gives back the payload that BlockWriter cut into blocks. No byte leaves here before its block's
// checksum was right. Holds one block in memory.
// Threading: one thread. Failure: InvalidDataException with the offset, PgraftException for what a
// newer version wrote; I/O errors pass through.
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace PgRaft.Core.Snapshots;

internal sealed class BlockReader
{
    private readonly byte[] _buffer = new byte[SnapshotFormat.MaxBlockBytes + sizeof(uint)];
    private readonly Stream _stream;
    private readonly CancellationToken _token;
    private Crc32C _crc;
    private int _position;
    private int _available;
    private long _payloadBytes;

    public BlockReader(Stream stream, CancellationToken token)
    {
        _stream = stream;
        _token = token;
        ReadHeader();
    }

    /// <summary>The file's format version.</summary>
    public uint Version { get; private set; }

    /// <summary>Bytes taken from the stream so far.</summary>
    public long Offset { get; private set; }

    public void Read(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (_position == _available && !ReadBlock())
                Fail("the payload ends inside a record");
            int part = Math.Min(destination.Length, _available - _position);
            _buffer.AsSpan(_position, part).CopyTo(destination);
            _position += part;
            destination = destination[part..];
        }
    }

    public byte ReadByte()
    {
        Span<byte> bytes = stackalloc byte[1];
        Read(bytes);
        return bytes[0];
    }

    public ushort ReadUInt16()
    {
        Span<byte> bytes = stackalloc byte[sizeof(ushort)];
        Read(bytes);
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }

    public uint ReadUInt32()
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        Read(bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    public long ReadInt64()
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        Read(bytes);
        return BinaryPrimitives.ReadInt64LittleEndian(bytes);
    }

    /// <summary>Checks the footer and that nothing is left before or after it.</summary>
    public void Complete()
    {
        if (_position != _available || ReadBlock())
            Fail("records follow the last section");
        if (_stream.Read(_buffer, 0, 1) != 0)
            Fail("bytes follow the footer");
    }

    [DoesNotReturn]
    public void Fail(string what) => throw new InvalidDataException(string.Create(
        CultureInfo.InvariantCulture, $"Snapshot is damaged near byte {Offset}: {what}."));

    private void ReadHeader()
    {
        var header = _buffer.AsSpan(0, SnapshotFormat.HeaderBytes);
        ReadChecked(header);
        if (!header.StartsWith(SnapshotFormat.Magic))
            Fail("it does not begin as a snapshot does");
        Version = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
        if (Version > SnapshotFormat.Version)
            throw DataVersions.TooNew("a snapshot", Version);
        if (Version < SnapshotFormat.FirstVersion)
            Fail(string.Create(CultureInfo.InvariantCulture, $"format {Version} is not known"));
    }

    // False at the footer, which is checked.
    private bool ReadBlock()
    {
        _token.ThrowIfCancellationRequested();
        Span<byte> length = stackalloc byte[sizeof(uint)];
        ReadRaw(length);
        _crc.Append(length);
        uint payloadBytes = BinaryPrimitives.ReadUInt32LittleEndian(length);
        if (payloadBytes > SnapshotFormat.MaxBlockBytes)
            Fail("a block is longer than any can be");
        if (payloadBytes == 0)
        {
            ReadFooter();
            return false;
        }

        ReadChecked(_buffer.AsSpan(0, (int)payloadBytes + sizeof(uint)));
        _payloadBytes += payloadBytes;
        _position = 0;
        _available = (int)payloadBytes;
        return true;
    }

    private void ReadFooter()
    {
        var footer = _buffer.AsSpan(0, SnapshotFormat.FooterBytes - sizeof(uint));
        ReadChecked(footer);
        if (BinaryPrimitives.ReadInt64LittleEndian(footer) != _payloadBytes)
            Fail("its length is not that in the footer");
    }

    private void ReadChecked(Span<byte> bytes)
    {
        ReadRaw(bytes);
        _crc.Append(bytes[..^sizeof(uint)]);
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[^sizeof(uint)..]) != _crc.Value)
            Fail("the checksum is wrong");
    }

    private void ReadRaw(Span<byte> bytes)
    {
        int read = _stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        Offset += read;
        if (read < bytes.Length)
            Fail("it is cut short");
    }
}
