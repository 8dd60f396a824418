// One request while it runs: its arguments, its time limit and who sent it.
// Threading: one request, one logical flow. Failure: none.
using System.Diagnostics;

using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal sealed class RequestContext(
    RequestHeader header,
    ReadOnlyMemory<byte> values,
    bool isForwarded,
    CancellationToken token)
{
    private readonly long _startedAt = Stopwatch.GetTimestamp();

    public RequestHeader Header => header;

    /// <summary>Another member passed it on because it takes this node for the leader.</summary>
    public bool IsForwarded => isForwarded;

    /// <summary>Cancelled when the time is up, the client has gone, or the node stops.</summary>
    public CancellationToken Token => token;

    public bool IsWrite => RequestCodes.IsWrite(header.Code);

    /// <summary>Milliseconds left, at least 1: a request that has run out is cancelled anyway.
    /// </summary>
    public int RemainingMs =>
        Math.Max(1, header.TimeoutMs - (int)Stopwatch.GetElapsedTime(_startedAt).TotalMilliseconds);

    /// <summary>Starts reading the arguments, of which there must be so many.</summary>
    public ValueReader Arguments(int count) => new(header, values.Span, count);

    /// <summary>The same request for the leader, with the time that is left.</summary>
    public byte[] ToForwardFrame()
    {
        var frame = new byte[Wire.LengthBytes + Wire.HeaderBytes + values.Length];
        var forwarded = header with { TimeoutMs = RemainingMs };
        forwarded.Write(frame, values.Length);
        values.Span.CopyTo(frame.AsSpan(Wire.LengthBytes + Wire.HeaderBytes));
        return frame;
    }
}
