// The head of a request frame. Threading: a value. Failure: a body too short for a header is the
// caller's to close the connection on; everything else is judged by the dispatcher, which can
// answer.
using System.Buffers.Binary;

namespace PgRaft.Server.Protocol;

internal readonly record struct RequestHeader(
    RequestCode Code, ushort Flags, uint RequestId, int TimeoutMs, uint ValueCount)
{
    /// <summary>Reads the header of a body that is at least <see cref="Wire.HeaderBytes"/> long.
    /// </summary>
    public static RequestHeader Read(ReadOnlySpan<byte> body) => new(
        (RequestCode)BinaryPrimitives.ReadUInt16LittleEndian(body),
        BinaryPrimitives.ReadUInt16LittleEndian(body[2..]),
        BinaryPrimitives.ReadUInt32LittleEndian(body[4..]),
        ClampTimeout(BinaryPrimitives.ReadUInt32LittleEndian(body[8..])),
        BinaryPrimitives.ReadUInt32LittleEndian(body[12..]));

    /// <summary>Writes length word and header in front of <paramref name="valueBytes"/> bytes of
    /// values.</summary>
    public void Write(Span<byte> frame, int valueBytes)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)(Wire.HeaderBytes + valueBytes));
        BinaryPrimitives.WriteUInt16LittleEndian(frame[4..], (ushort)Code);
        BinaryPrimitives.WriteUInt16LittleEndian(frame[6..], Flags);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[8..], RequestId);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[12..], (uint)TimeoutMs);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[16..], ValueCount);
    }

    private static int ClampTimeout(uint timeoutMs) =>
        (int)Math.Clamp(timeoutMs, Wire.MinTimeoutMs, Wire.MaxTimeoutMs);
}
