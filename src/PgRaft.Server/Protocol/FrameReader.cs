// Cuts the byte stream of a connection into frames. Two buffers alternate, so that the next frame
// can be awaited while the last one is still being worked on: that is how the end of a connection
// is noticed during a request.
// Threading: one reader; a frame stays valid until the call after the next ReadAsync.
// Failure: a frame whose bounds cannot be trusted is an InvalidDataException, and the connection
// ends.
using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;

namespace PgRaft.Server.Protocol;

internal sealed class FrameReader(Stream stream, MemoryBudget budget) : IDisposable
{
    private const int RequestIdEnd = 12;

    private FrameBuffer _current = new(budget);
    private FrameBuffer _previous = new(budget);
    private int _frameEnd;

    /// <summary>Request id of a frame that could not be read to its end; 0 when not even that was
    /// read.</summary>
    public uint PartialRequestId => _current.Length >= RequestIdEnd
        ? BinaryPrimitives.ReadUInt32LittleEndian(_current.Written[(RequestIdEnd - 4)..])
        : 0;

    /// <summary>The body of the next frame, or null at the end of the stream.</summary>
    public async Task<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken token)
    {
        Swap();
        int bodyBytes = -1;
        while (bodyBytes < 0 || _current.Length < Wire.LengthBytes + bodyBytes)
        {
            if (bodyBytes < 0 && _current.Length >= Wire.LengthBytes)
            {
                bodyBytes = CheckedLength(
                    BinaryPrimitives.ReadUInt32LittleEndian(_current.Written));
                continue;
            }

            int count = await stream.ReadAsync(_current.GetMemory(), token).ConfigureAwait(false);
            if (count == 0)
                return AtEnd();
            _current.Advance(count);
        }

        _frameEnd = Wire.LengthBytes + bodyBytes;
        return _current.WrittenMemory[Wire.LengthBytes.._frameEnd];
    }

    public void Dispose()
    {
        _current.Dispose();
        _previous.Dispose();
    }

    // What was read beyond the last frame begins the next one.
    private void Swap()
    {
        (_current, _previous) = (_previous, _current);
        _current.Clear();
        _current.Write(_previous.Written[_frameEnd..]);
        _previous.Truncate(_frameEnd);
        _frameEnd = 0;
    }

    private ReadOnlyMemory<byte>? AtEnd() => _current.Length == 0
        ? null
        : throw new InvalidDataException("the connection ended inside a frame");

    private static int CheckedLength(uint bodyBytes) =>
        bodyBytes is >= Wire.HeaderBytes and <= Wire.MaxFrameBytes
            ? (int)bodyBytes
            : throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture, $"a frame claims {bodyBytes} bytes"));
}
