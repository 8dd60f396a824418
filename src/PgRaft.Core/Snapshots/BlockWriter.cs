// Cuts a payload into checksummed blocks; SnapshotFormat gives the layout. Holds one block in
// memory, whatever the size of the state.
// Threading: one thread. Failure: what the stream throws; the file then lacks its footer.
using System.Buffers.Binary;

namespace PgRaft.Core.Snapshots;

internal sealed class BlockWriter : PayloadSink
{
    // The length before and the checksum after the payload share the buffer: one write a block.
    private readonly byte[] _buffer =
        new byte[sizeof(uint) + SnapshotFormat.MaxBlockBytes + sizeof(uint)];

    private readonly Stream _stream;
    private readonly CancellationToken _token;
    private Crc32C _crc;
    private int _used;
    private long _payloadBytes;

    public BlockWriter(Stream stream, int version, CancellationToken token)
    {
        _stream = stream;
        _token = token;
        WriteHeader((uint)version);
    }

    /// <summary>Bytes given to the stream so far.</summary>
    public long WrittenBytes { get; private set; }

    public override void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int room = Math.Min(bytes.Length, SnapshotFormat.MaxBlockBytes - _used);
            bytes[..room].CopyTo(_buffer.AsSpan(sizeof(uint) + _used));
            _used += room;
            bytes = bytes[room..];
            if (_used == SnapshotFormat.MaxBlockBytes)
                WriteBlock();
        }
    }

    public void Complete()
    {
        if (_used > 0)
            WriteBlock();
        var footer = _buffer.AsSpan(0, SnapshotFormat.FooterBytes);
        footer.Clear();
        BinaryPrimitives.WriteInt64LittleEndian(footer[sizeof(uint)..], _payloadBytes);
        WriteChecked(footer);
    }

    private void WriteHeader(uint version)
    {
        var header = _buffer.AsSpan(0, SnapshotFormat.HeaderBytes);
        SnapshotFormat.Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], version);
        WriteChecked(header);
    }

    private void WriteBlock()
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer, (uint)_used);
        WriteChecked(_buffer.AsSpan(0, sizeof(uint) + _used + sizeof(uint)));
        _payloadBytes += _used;
        _used = 0;
    }

    // Puts the checksum of the file so far into the last four bytes.
    private void WriteChecked(Span<byte> bytes)
    {
        _token.ThrowIfCancellationRequested();
        var content = bytes[..^sizeof(uint)];
        _crc.Append(content);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[content.Length..], _crc.Value);
        _stream.Write(bytes);
        WrittenBytes += bytes.Length;
    }
}
