// One request while it runs: its arguments, its time limit and who sent it.
// Threading: one request, one logical flow. Failure: none.
using System.Diagnostics;

using PgRaft.Core.Requests;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

/// <summary>Sends a frame to a client whose request goes on.</summary>
internal delegate ValueTask InterimWriter(ReadOnlyMemory<byte> frame);

internal sealed class RequestContext(
    RequestHeader header,
    ReadOnlyMemory<byte> values,
    ForwardedRequest? forwarded,
    CancellationTokenSource limit,
    InterimWriter? interim)
{
    private readonly long _startedAt = Stopwatch.GetTimestamp();

    public RequestHeader Header => header;

    /// <summary>Another member passed it on because it takes this node for the leader.</summary>
    public bool IsForwarded => forwarded is not null;

    /// <summary>The id that the request was given where its client is; only when forwarded.
    /// </summary>
    public RequestId Id => forwarded?.Id ?? default;

    /// <summary>Cancelled when the time is up, the client has gone, or the node stops.</summary>
    public CancellationToken Token => limit.Token;

    public bool IsWrite => RequestCodes.IsWrite(header.Code);

    /// <summary>Milliseconds left, at least 1: a request that has run out is cancelled anyway.
    /// </summary>
    public int RemainingMs =>
        Math.Max(1, header.TimeoutMs - (int)Stopwatch.GetElapsedTime(_startedAt).TotalMilliseconds);

    /// <summary>The request has its whole time again, counted from now.</summary>
    public void Prolong() => limit.CancelAfter(header.TimeoutMs);

    /// <summary>Tells the client that the request goes on.</summary>
    /// <param name="text">What to show to whoever waits; null = nothing.</param>
    public async ValueTask ReportAsync(string? text)
    {
        if (interim is null)
            return;

        // So short that nothing is reserved for it.
        using var frame = new ResponseBuilder(new MemoryBudget(0));
        frame.Begin(header.RequestId);
        frame.Progress(text);
        await interim(frame.Finish()).ConfigureAwait(false);
    }

    /// <summary>Starts reading the arguments, of which there must be so many.</summary>
    public ValueReader Arguments(int count) => new(header, values.Span, count);

    /// <summary>The same request for the leader, with the time that is left.</summary>
    public byte[] ToForwardFrame(RequestId id) =>
        ForwardedRequest.Write(id, header with { TimeoutMs = RemainingMs }, values.Span);
}
