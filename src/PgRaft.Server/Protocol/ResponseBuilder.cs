// Writes one response frame: either rows of values, or an error's three texts.
// Threading: one owner at a time. Failure: a response that grows beyond the largest frame, or the
// memory budget, throws PgraftException; Error() then still fits and replaces what was written.
using System.Buffers;
using System.Buffers.Binary;
using System.Text;

using PgRaft.Core;

namespace PgRaft.Server.Protocol;

internal sealed class ResponseBuilder : IDisposable
{
    private const int FrameHeaderBytes = Wire.LengthBytes + Wire.HeaderBytes;

    // Far below the free allowance of a buffer, so that an error always fits.
    private const int MaxErrorTextChars = 4096;

    private readonly FrameBuffer _buffer;
    private uint _requestId;
    private uint _columns;
    private uint _values;
    private StatusCode _status;

    public ResponseBuilder(MemoryBudget budget) => _buffer = new FrameBuffer(budget);

    /// <summary>Starts the answer to a request; what was written before is gone.</summary>
    public void Begin(uint requestId)
    {
        _buffer.Clear();
        _requestId = requestId;
        Restart(StatusCode.Ok, 0);
    }

    /// <summary>Starts rows of <paramref name="columns"/> values each.</summary>
    public ResponseBuilder Rows(int columns)
    {
        Restart(StatusCode.Ok, (uint)columns);
        return this;
    }

    public ResponseBuilder Null() => Tag(ValueTag.Null, 0, out _);

    public ResponseBuilder Bool(bool? value)
    {
        if (value is null)
            return Null();
        Tag(ValueTag.Bool, 1, out var payload);
        payload[0] = value.Value ? (byte)1 : (byte)0;
        return this;
    }

    public ResponseBuilder Int32(int value)
    {
        Tag(ValueTag.Int32, 4, out var payload);
        BinaryPrimitives.WriteInt32LittleEndian(payload, value);
        return this;
    }

    public ResponseBuilder Int32(int? value) => value is { } known ? Int32(known) : Null();

    public ResponseBuilder Int64(long? value)
    {
        if (value is null)
            return Null();
        Tag(ValueTag.Int64, 8, out var payload);
        BinaryPrimitives.WriteInt64LittleEndian(payload, value.Value);
        return this;
    }

    public ResponseBuilder Text(ReadOnlySpan<byte> utf8)
    {
        Tag(ValueTag.Text, 4 + utf8.Length, out var payload);
        BinaryPrimitives.WriteUInt32LittleEndian(payload, (uint)utf8.Length);
        utf8.CopyTo(payload[4..]);
        return this;
    }

    public ResponseBuilder Text(string? text) =>
        text is null ? Null() : Text(Encoding.UTF8.GetBytes(text.Replace('\0', ' ')));

    /// <summary>Replaces the answer by an error.</summary>
    public void Error(PgraftException error)
    {
        _buffer.Clear();
        Restart(error.Code, 3);
        Text(Bounded(error.Message)).Text(Bounded(error.Detail)).Text(Bounded(error.Hint));
    }

    /// <summary>Makes it a word ahead of the answer.</summary>
    public void Progress(string? text)
    {
        Restart(StatusCode.Progress, 1);
        Text(Bounded(text));
    }

    /// <summary>Replaces the answer by another node's, whose request id is not ours.</summary>
    public void Relay(ForwardedResponse answer)
    {
        _buffer.Clear();
        Restart(answer.Status, answer.Columns);
        _buffer.Write(answer.Values.Span);
        _values = answer.Columns * answer.Rows;
    }

    /// <summary>Completes the frame; valid until the next <see cref="Begin"/>.</summary>
    public ReadOnlyMemory<byte> Finish()
    {
        uint rows = _columns == 0 ? 0 : _values / _columns;
        if (_columns * rows != _values)
            throw new InvalidOperationException("The last row is not complete.");
        var head = _buffer.Written;
        BinaryPrimitives.WriteUInt32LittleEndian(head, (uint)(head.Length - Wire.LengthBytes));
        BinaryPrimitives.WriteInt32LittleEndian(head[4..], (int)_status);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], _requestId);
        BinaryPrimitives.WriteUInt32LittleEndian(head[12..], _columns);
        BinaryPrimitives.WriteUInt32LittleEndian(head[16..], rows);
        return _buffer.WrittenMemory;
    }

    public void Dispose() => _buffer.Dispose();

    private void Restart(StatusCode status, uint columns)
    {
        _status = status;
        _columns = columns;
        _values = 0;
        _buffer.Truncate(0);
        _buffer.GetSpan(FrameHeaderBytes);
        _buffer.Advance(FrameHeaderBytes);
    }

    private ResponseBuilder Tag(ValueTag tag, int payloadBytes, out Span<byte> payload)
    {
        var span = _buffer.GetSpan(1 + payloadBytes);
        span[0] = (byte)tag;
        payload = span.Slice(1, payloadBytes);
        _buffer.Advance(1 + payloadBytes);
        _values++;
        return this;
    }

    private static string? Bounded(string? text) =>
        text is { Length: > MaxErrorTextChars } ? text[..MaxErrorTextChars] : text;
}
