// The leader's answer to a request that this member passed on: taken apart only as far as needed to
// decide on a retry and to relay it. Threading: a value over the answer's memory. Failure: an
// answer that is no response frame is null, which leaves the outcome unknown.
using System.Buffers.Binary;

using PgRaft.Core;

namespace PgRaft.Server.Protocol;

internal readonly record struct ForwardedResponse(
    StatusCode Status, uint Columns, uint Rows, ReadOnlyMemory<byte> Values)
{
    private const int FrameHeaderBytes = Wire.LengthBytes + Wire.HeaderBytes;

    /// <summary>Takes a response frame apart.</summary>
    /// <exception cref="PgraftException">OutcomeUnknown: it is none.</exception>
    public static ForwardedResponse Read(ReadOnlyMemory<byte> frame) =>
        TryRead(frame) ?? throw new PgraftException(
            StatusCode.OutcomeUnknown,
            "the leader's answer could not be read",
            "Whether the change was made is unknown.");

    /// <summary>Takes a response frame apart; null when its bounds, status or values are not
    /// those of one.</summary>
    public static ForwardedResponse? TryRead(ReadOnlyMemory<byte> frame)
    {
        var span = frame.Span;
        if (span.Length < FrameHeaderBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(span) != span.Length - Wire.LengthBytes)
        {
            return null;
        }

        var response = new ForwardedResponse(
            (StatusCode)BinaryPrimitives.ReadInt32LittleEndian(span[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(span[12..]),
            BinaryPrimitives.ReadUInt32LittleEndian(span[16..]),
            frame[FrameHeaderBytes..]);
        return response.IsConsistent() ? response : null;
    }

    /// <summary>The error that the answer holds; only for a status other than Ok.</summary>
    public PgraftException ToException() => new(
        Status, ErrorText(0) ?? Status.ToString(), ErrorText(1), ErrorText(2));

    private bool IsConsistent()
    {
        ulong expected = (ulong)Columns * Rows;
        if (!Enum.IsDefined(Status) || expected > (ulong)Values.Length)
            return false;
        return (Status == StatusCode.Ok || (Columns == 3 && Rows == 1))
            && ValueWalker.Count(Values.Span) == (long)expected;
    }

    private string? ErrorText(int position) => ValueWalker.TextAt(Values.Span, position);
}
