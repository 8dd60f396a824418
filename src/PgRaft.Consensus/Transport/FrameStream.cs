// Frames over one connection, both directions. Works on a Stream so that TLS can lie underneath.
// Threading: one reader; any number of writers, which take turns. Failure: IOException or
// InvalidDataException; after either the connection is of no use and must be disposed.
using System.Buffers.Binary;
using System.Net.Sockets;
using PgRaft.Consensus.Metrics;

namespace PgRaft.Consensus.Transport;

/// <summary>A frame as received. The body is freshly allocated and never reused.</summary>
internal readonly record struct Frame(MessageType Type, uint RequestId, ReadOnlyMemory<byte> Body);

/// <summary>One connection's frames.</summary>
internal sealed class FrameStream : IAsyncDisposable
{
    /// <summary>Largest body either side accepts after the hello.</summary>
    public const int MaxBodyBytes = 64 * 1024 * 1024;

    private const int ReadBufferBytes = 16 * 1024;
    private const int FirstAllocationBytes = 1024 * 1024;
    private readonly Stream _stream;
    private readonly SemaphoreSlim _writeTurn = new(1, 1);
    private readonly NodeMeters _meters;
    private readonly byte[] _buffer = new byte[ReadBufferBytes];
    private int _start;
    private int _end;

    /// <summary>Takes over the socket.</summary>
    /// <param name="socket">A connected socket.</param>
    /// <param name="meters">Told of the bytes that pass.</param>
    public FrameStream(Socket socket, NodeMeters meters)
    {
        _meters = meters;
        socket.NoDelay = true;
        SetKeepAlive(socket);
        _stream = new NetworkStream(socket, ownsSocket: true);
    }

    /// <summary>Reads the next frame; null when the peer closed in good order.</summary>
    /// <exception cref="InvalidDataException">A body larger than
    /// <paramref name="maxBodyBytes"/>.</exception>
    /// <exception cref="IOException">The connection broke.</exception>
    public async ValueTask<Frame?> ReadAsync(int maxBodyBytes, CancellationToken token)
    {
        if (!await FillAsync(FrameWriter.HeaderBytes, token).ConfigureAwait(false))
        {
            return null;
        }

        var header = _buffer.AsSpan(_start, FrameWriter.HeaderBytes);
        uint bodyBytes = BinaryPrimitives.ReadUInt32LittleEndian(header);
        var type = (MessageType)header[4];
        uint requestId = BinaryPrimitives.ReadUInt32LittleEndian(header[5..]);
        _start += FrameWriter.HeaderBytes;
        if (bodyBytes > (uint)maxBodyBytes)
        {
            throw new InvalidDataException($"A frame of {bodyBytes} bytes exceeds {maxBodyBytes}.");
        }

        byte[] body = await ReadBodyAsync((int)bodyBytes, token).ConfigureAwait(false);
        return new Frame(type, requestId, body);
    }

    /// <summary>Writes a finished frame.</summary>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> frame, CancellationToken token)
    {
        await _writeTurn.WaitAsync(token).ConfigureAwait(false);
        try
        {
            await _stream.WriteAsync(frame, token).ConfigureAwait(false);
            _meters.PeerSentBytes.Add(frame.Length);
        }
        catch
        {
            // Half a frame may have left, which would garble everything behind it.
            await DisposeAsync().ConfigureAwait(false);
            throw;
        }
        finally
        {
            _writeTurn.Release();
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private static void SetKeepAlive(Socket socket)
    {
        // A peer that vanished without a word must be noticed while the connection is idle too.
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 2);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
    }

    private async ValueTask<byte[]> ReadBodyAsync(int bodyBytes, CancellationToken token)
    {
        // Memory follows the bytes that really arrive, not the length a peer claims.
        byte[] body = new byte[Math.Min(bodyBytes, FirstAllocationBytes)];
        int filled = Math.Min(_end - _start, bodyBytes);
        _buffer.AsSpan(_start, filled).CopyTo(body);
        _start += filled;
        while (filled < bodyBytes)
        {
            if (filled == body.Length)
            {
                Array.Resize(ref body, (int)Math.Min(bodyBytes, body.Length * 2L));
            }

            int read = await _stream.ReadAsync(body.AsMemory(filled), token).ConfigureAwait(false);
            _meters.PeerReceivedBytes.Add(read);
            filled += read > 0
                ? read
                : throw new EndOfStreamException("The peer closed within a frame.");
        }

        return body;
    }

    private async ValueTask<bool> FillAsync(int count, CancellationToken token)
    {
        if (_end - _start < count && _start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        while (_end - _start < count)
        {
            int read = await _stream.ReadAsync(_buffer.AsMemory(_end), token).ConfigureAwait(false);
            if (read == 0)
            {
                return _end == _start
                    ? false
                    : throw new EndOfStreamException("The peer closed within a frame.");
            }

            _meters.PeerReceivedBytes.Add(read);
            _end += read;
        }

        return true;
    }
}
