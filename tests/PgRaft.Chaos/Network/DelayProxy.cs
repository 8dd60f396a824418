// A TCP proxy that hands on every byte late: a slow network on a machine whose kernel has no
// netem. What is sent arrives in order, each piece after a delay of its own, the end of the stream
// too. A way may also take its time for connecting, and lose segments (SegmentLoss).
//
// Threading: one task accepts, two a connection move bytes. Failure: a side that breaks breaks the
// other; closing the proxy breaks all of its connections.

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace PgRaft.Chaos.Network;

/// <param name="Shortest">Least delay of a piece, one way.</param>
/// <param name="Longest">Most delay of a piece, one way.</param>
internal readonly record struct DelayRange(TimeSpan Shortest, TimeSpan Longest)
{
    /// <summary>Time from a client's connecting until its first byte can set out.</summary>
    public TimeSpan Connecting { get; init; }

    /// <summary>What is lost on the way; null is nothing.</summary>
    public SegmentLoss? Loss { get; init; }

    /// <summary>The delay of the next piece, of so many bytes.</summary>
    public TimeSpan Next(int bytes) =>
        Shortest + ((Longest - Shortest) * Random.Shared.NextDouble())
            + (Loss?.DelayOf(bytes) ?? TimeSpan.Zero);
}

internal sealed class DelayProxy : IAsyncDisposable
{
    private const int PieceBytes = 64 * 1024;
    private const int MaxPiecesUnderWay = 64;

    private readonly TcpListener _listener;
    private readonly IPEndPoint _target;
    private readonly DelayRange _delay;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<int, Task> _connections = new();
    private readonly Task _accepting;

    /// <summary>Listens at an own address, on a port of its choice.</summary>
    public DelayProxy(IPAddress address, IPEndPoint target, DelayRange delay)
        : this(new IPEndPoint(address, 0), target, delay)
    {
    }

    public DelayProxy(IPEndPoint own, IPEndPoint target, DelayRange delay)
    {
        _target = target;
        _delay = delay;
        _listener = new TcpListener(own);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_connections.Values);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var number = 0;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                _connections[number++] = Task.Run(() => ServeAsync(client));
            }
            catch (Exception e) when (IsEnd(e))
            {
                // Closed, or a client that was gone before it was accepted.
            }
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var near = client;
        using var far = new TcpClient { NoDelay = true };
        near.NoDelay = true;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        try
        {
            // The first of the delays that the proxy is for.
            await Task.Delay(_delay.Connecting, either.Token);
            await far.ConnectAsync(_target, either.Token);
            await Task.WhenAny(
                MoveAsync(near.GetStream(), far.GetStream(), either.Token),
                MoveAsync(far.GetStream(), near.GetStream(), either.Token));
        }
        catch (Exception e) when (IsEnd(e))
        {
            // The other side learns of it by the closing of its connection.
        }
        finally
        {
            await either.CancelAsync();
        }
    }

    private async Task MoveAsync(NetworkStream from, NetworkStream to, CancellationToken end)
    {
        var pieces = Channel.CreateBounded<(byte[] Bytes, long Due)>(MaxPiecesUnderWay);
        var sending = SendAsync(pieces.Reader, to, end);
        try
        {
            var buffer = new byte[PieceBytes];
            int count;
            do
            {
                count = await from.ReadAsync(buffer, end);
                var due = Stopwatch.GetTimestamp()
                    + (long)(_delay.Next(count).TotalSeconds * Stopwatch.Frequency);
                await pieces.Writer.WriteAsync((buffer[..count], due), end);
            }
            while (count > 0);
        }
        catch (Exception e) when (IsEnd(e))
        {
            // As at the end of the stream.
        }

        pieces.Writer.TryComplete();
        await sending;
    }

    private static async Task SendAsync(
        ChannelReader<(byte[] Bytes, long Due)> pieces, NetworkStream to, CancellationToken end)
    {
        try
        {
            await foreach (var (bytes, due) in pieces.ReadAllAsync(end))
            {
                await UntilAsync(due, end);
                await to.WriteAsync(bytes, end);
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
            // The reading side ends with the connection.
        }
    }

    // Never before: a timer goes by a clock that may be a tick of the kernel behind, 4 ms.
    private static async Task UntilAsync(long due, CancellationToken end)
    {
        var left = Left();
        while (left > TimeSpan.Zero)
        {
            // The delay is what the proxy is for. Part of a millisecond would be none.
            await Task.Delay((int)Math.Ceiling(left.TotalMilliseconds), end);
            left = Left();
        }

        TimeSpan Left() => Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due);
    }

    private static bool IsEnd(Exception e) =>
        e is IOException or SocketException or OperationCanceledException
            or ObjectDisposedException;
}
