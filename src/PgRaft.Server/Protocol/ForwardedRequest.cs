// A request that one member passes on to another: the id it was given where its client is, then the
// client's frame. Threading: a value over the frame's memory. Failure: InvalidDataException when
// the bytes are too short or the id is none that can be; whoever sent them is no member of ours.
using PgRaft.Core.Requests;

namespace PgRaft.Server.Protocol;

internal readonly record struct ForwardedRequest(RequestId Id, ReadOnlyMemory<byte> Body)
{
    private const int FrameAt = RequestId.EncodedBytes;
    private const int BodyAt = FrameAt + Wire.LengthBytes;

    /// <summary>Takes the bytes apart; the body is at least as long as a request header.</summary>
    public static ForwardedRequest Read(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Length < BodyAt + Wire.HeaderBytes)
            throw new InvalidDataException("a forwarded request is shorter than its header");
        if (!RequestId.TryRead(bytes.Span, out var id))
            throw new InvalidDataException("a forwarded request has an impossible id");
        return new ForwardedRequest(id, bytes[BodyAt..]);
    }

    /// <summary>Puts a request together for the leader.</summary>
    public static byte[] Write(RequestId id, RequestHeader header, ReadOnlySpan<byte> values)
    {
        var bytes = new byte[BodyAt + Wire.HeaderBytes + values.Length];
        id.Write(bytes);
        header.Write(bytes.AsSpan(FrameAt), values.Length);
        values.CopyTo(bytes.AsSpan(BodyAt + Wire.HeaderBytes));
        return bytes;
    }
}
