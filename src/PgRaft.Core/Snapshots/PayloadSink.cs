// Where the canonical bytes of the state go: to a snapshot's blocks or into a hash.
// Threading: one thread per sink. Failure: what the sink's Write throws.
using System.Buffers.Binary;

namespace PgRaft.Core.Snapshots;

internal abstract class PayloadSink
{
    public abstract void Write(ReadOnlySpan<byte> bytes);

    public void WriteByte(byte value) => Write([value]);

    public void WriteUInt16(ushort value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, value);
        Write(bytes);
    }

    public void WriteUInt32(uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Write(bytes);
    }

    public void WriteInt64(long value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        Write(bytes);
    }
}
