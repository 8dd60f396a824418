// Little-endian reading and writing of message bodies.
// Threading: none; each value belongs to one caller. Failure: a body that is cut short throws
// InvalidDataException, which closes the connection it came from.
using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace PgRaft.Consensus.Transport;

/// <summary>
/// A frame under construction: 9 bytes of header are kept free for the connection.
/// </summary>
internal sealed class FrameWriter
{
    /// <summary>u32 body bytes | u8 type | u32 request id.</summary>
    public const int HeaderBytes = 9;

    private readonly ArrayBufferWriter<byte> _buffer = new(256);

    /// <summary>Starts an empty frame.</summary>
    public FrameWriter() => Reset();

    /// <summary>Header and body; the header is filled by <see cref="Finish"/>.</summary>
    public ReadOnlyMemory<byte> Frame => _buffer.WrittenMemory;

    /// <summary>Starts over, keeping the buffer.</summary>
    public void Reset()
    {
        _buffer.ResetWrittenCount();
        _buffer.GetSpan(HeaderBytes)[..HeaderBytes].Clear();
        _buffer.Advance(HeaderBytes);
    }

    /// <summary>Fills the header.</summary>
    public ReadOnlyMemory<byte> Finish(MessageType type, uint requestId)
    {
        var memory = System.Runtime.InteropServices.MemoryMarshal.AsMemory(_buffer.WrittenMemory);
        var header = memory.Span;
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)(memory.Length - HeaderBytes));
        header[4] = (byte)type;
        BinaryPrimitives.WriteUInt32LittleEndian(header[5..], requestId);
        return memory;
    }

    /// <summary>Adds a byte.</summary>
    public FrameWriter Byte(byte value)
    {
        _buffer.GetSpan(1)[0] = value;
        _buffer.Advance(1);
        return this;
    }

    /// <summary>Adds 4 bytes.</summary>
    public FrameWriter Int32(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.GetSpan(4), value);
        _buffer.Advance(4);
        return this;
    }

    /// <summary>Adds 8 bytes.</summary>
    public FrameWriter Int64(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_buffer.GetSpan(8), value);
        _buffer.Advance(8);
        return this;
    }

    /// <summary>Adds a 4-byte length and the bytes.</summary>
    public FrameWriter Bytes(ReadOnlySpan<byte> value)
    {
        Int32(value.Length);
        _buffer.Write(value);
        return this;
    }

    /// <summary>Adds a 4-byte length and the text in UTF-8.</summary>
    public FrameWriter Text(string value) => Bytes(Encoding.UTF8.GetBytes(value));

    /// <summary>Adds bytes without a length.</summary>
    public FrameWriter Raw(ReadOnlySpan<byte> value)
    {
        _buffer.Write(value);
        return this;
    }
}

/// <summary>Reads a body; slices alias it, so the body must never be reused.</summary>
internal struct BodyReader(ReadOnlyMemory<byte> body)
{
    private ReadOnlyMemory<byte> _rest = body;

    /// <summary>What has not been read yet.</summary>
    public readonly ReadOnlyMemory<byte> Rest => _rest;

    /// <summary>Reads a byte.</summary>
    public byte Byte() => Take(1).Span[0];

    /// <summary>Reads 4 bytes.</summary>
    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4).Span);

    /// <summary>Reads 8 bytes.</summary>
    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8).Span);

    /// <summary>Reads a length and that many bytes.</summary>
    public ReadOnlyMemory<byte> Bytes() => Take(Int32());

    /// <summary>Reads a length and UTF-8 text.</summary>
    public string Text() => Encoding.UTF8.GetString(Bytes().Span);

    private ReadOnlyMemory<byte> Take(int count)
    {
        if ((uint)count > (uint)_rest.Length)
        {
            throw new InvalidDataException("A message from a peer is cut short.");
        }

        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }
}
