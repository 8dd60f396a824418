// The called side: the Raft port. Greets whoever connects, then hands its requests on.
//
// Anything may arrive here: port scanners, other software, half-open connections. Until a valid
// hello has been read a connection may cost 1 kB and five seconds, and there may be only so many.
// Threading: one accept loop, one task a connection. Failure: a connection's errors end that
// connection only; refusals are logged at most once a minute each.
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Metrics;
using PgRaft.Core;

namespace PgRaft.Consensus.Transport;

/// <summary>
/// Answers requests of members; called concurrently, in order per consensus connection.
/// </summary>
internal interface IPeerHandler
{
    /// <summary>This node's hello in answer to a peer's.</summary>
    Hello Greeting(Hello peer);

    /// <summary>Handles a request; writes the answer's body.</summary>
    ValueTask HandleAsync(Hello peer, Frame request, FrameWriter answer, CancellationToken token);
}

/// <summary>Accepts connections of peers.</summary>
internal sealed partial class PeerListener : IAsyncDisposable
{
    private const int MaxConnections = 512;
    private const int MaxConcurrentRequests = 256;
    private static readonly TimeSpan HelloTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan QuietPeriod = TimeSpan.FromMinutes(1);

    // Of a refused request's connection, for what else is under way on it.
    private static readonly TimeSpan OthersTime = TimeSpan.FromSeconds(1);
    private readonly IPeerHandler _handler;
    private readonly ILogger _logger;
    private readonly Refusals _refusals;
    private readonly List<Socket> _listeners = [];
    private readonly List<Task> _acceptLoops = [];
    private readonly CancellationTokenSource _closing = new();
    private int _connections;
    private long _quietUntil;

    /// <summary>Prepares the listener.</summary>
    public PeerListener(IPeerHandler handler, ILogger logger)
    {
        _handler = handler;
        _logger = logger;
        _refusals = new Refusals(logger);
    }

    /// <summary>Told of the bytes that pass.</summary>
    public NodeMeters Meters { get; init; } = new();

    /// <summary>Binds and starts accepting.</summary>
    /// <param name="host">Host name, IP address, or "*" for every address.</param>
    /// <param name="port">TCP port.</param>
    /// <param name="token">Ends name resolution.</param>
    /// <exception cref="PgraftException">The address cannot be bound.</exception>
    public async Task StartAsync(string host, int port, CancellationToken token)
    {
        foreach (var endPoint in await ResolveAsync(host, port, token).ConfigureAwait(false))
        {
            _listeners.Add(Bind(endPoint));
        }

        foreach (var listener in _listeners)
        {
            _acceptLoops.Add(AcceptLoopAsync(listener));
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync().ConfigureAwait(false);
        foreach (var listener in _listeners)
        {
            listener.Dispose();
        }

        await Task.WhenAll(_acceptLoops).ConfigureAwait(false);
    }

    private static async Task<IPEndPoint[]> ResolveAsync(
        string host, int port, CancellationToken token)
    {
        if (host == "*")
        {
            var any = Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any;
            return [new IPEndPoint(any, port)];
        }

        try
        {
            var addresses = await new HostLookup(host).FindAsync(token).ConfigureAwait(false);
            return [.. addresses.Distinct().Select(a => new IPEndPoint(a, port))];
        }
        catch (SocketException e)
        {
            throw CannotListen($"{host}:{port}", e);
        }
    }

    private static Socket Bind(IPEndPoint endPoint)
    {
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (endPoint.Address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            // Not ReuseAddress: .NET makes that SO_REUSEPORT as well, and a second server would
            // share the port unnoticed. It sets SO_REUSEADDR by itself.
            socket.Bind(endPoint);
            socket.Listen(128);
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw CannotListen(endPoint.ToString(), e);
        }
    }

    private static PgraftException CannotListen(string address, SocketException e) => new(
        StatusCode.IoError, $"cannot listen on {address}: {e.Message}", null,
        "Check pgraft.listen_address and pgraft.port, and that no other program uses the port.", e);

    private async Task AcceptLoopAsync(Socket listener)
    {
        while (!_closing.IsCancellationRequested)
        {
            try
            {
                var socket = await listener.AcceptAsync(_closing.Token).ConfigureAwait(false);
                if (Volatile.Read(ref _connections) >= MaxConnections)
                {
                    socket.Dispose();
                    continue;
                }

                _ = ServeAsync(socket);
            }
            catch (Exception e) when (e is SocketException && !_closing.IsCancellationRequested)
            {
                Complain("accept", e.Message);

                // Out of descriptors: without a pause the loop would spin until one is free.
                await Task.Delay(100).ConfigureAwait(false);
            }
            catch (Exception) when (_closing.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        Interlocked.Increment(ref _connections);
        string from = "unknown";
        try
        {
            from = socket.RemoteEndPoint?.ToString() ?? from;
            await using var frames = new FrameStream(socket, Meters);
            if (await GreetAsync(frames, from).ConfigureAwait(false) is { } peer)
            {
                await ServeRequestsAsync(peer, frames).ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            if (e is InvalidDataException)
            {
                Complain(from, e.Message);
            }
        }
        finally
        {
            socket.Dispose();
            Interlocked.Decrement(ref _connections);
        }
    }

    private async Task<Hello?> GreetAsync(FrameStream frames, string from)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        limit.CancelAfter(HelloTimeout);
        if (await ReadHelloAsync(frames, limit.Token).ConfigureAwait(false) is not { } peer)
        {
            return null;
        }

        var mine = _handler.Greeting(peer);
        var answer = new FrameWriter();
        string? stranger = peer.IdentityRefusal(mine);
        string? reason = stranger ?? peer.VersionRefusal(mine);
        answer.Byte(reason is null ? (byte)0 : (byte)1);
        if (reason is not null)
        {
            answer.Text(reason);
        }

        if (stranger is null)
        {
            mine.Write(answer);
        }

        Note(peer.NodeId, from, stranger, reason);

        await frames.WriteAsync(answer.Finish(MessageType.Hello, 0), limit.Token)
            .ConfigureAwait(false);
        return reason is null ? peer : null;
    }

    private void Note(int nodeId, string from, string? stranger, string? reason)
    {
        if (stranger is not null)
        {
            Complain(from, stranger);
        }
        else if (reason is not null)
        {
            _refusals.Refused(nodeId, from, reason);
        }
        else
        {
            _refusals.Accepted(nodeId);
        }
    }

    // Null when whoever connected left without a word.
    private static async Task<Hello?> ReadHelloAsync(FrameStream frames, CancellationToken token)
    {
        Frame? first;
        try
        {
            first = await frames.ReadAsync(Hello.MaxBytes, token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw Hello.NotSpoken(e);
        }

        return first is not { } frame ? null
            : frame.Type == MessageType.Hello ? Hello.Read(frame.Body)
            : throw Hello.NotSpoken(null);
    }

    private async Task ServeRequestsAsync(Hello peer, FrameStream frames)
    {
        using var connection = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        using var turns = new SemaphoreSlim(MaxConcurrentRequests);
        try
        {
            while (await frames.ReadAsync(FrameStream.MaxBodyBytes, connection.Token)
                .ConfigureAwait(false) is { } request)
            {
                if (peer.Kind == ChannelKind.Client)
                {
                    await turns.WaitAsync(connection.Token).ConfigureAwait(false);
                    _ = AnswerAsync(peer, frames, request, turns, connection);
                }
                else
                {
                    await AnswerAsync(peer, frames, request, null, connection)
                        .ConfigureAwait(false);
                }
            }
        }
        finally
        {
            await connection.CancelAsync().ConfigureAwait(false);
        }
    }

    private async Task AnswerAsync(
        Hello peer, FrameStream frames, Frame request, SemaphoreSlim? turns,
        CancellationTokenSource connection)
    {
        var token = connection.Token;
        try
        {
            if (MayBlock(request.Type))
            {
                // This may be the thread that serves all sockets (see InlineCompletions).
                await Task.Yield();
            }

            var answer = new FrameWriter();
            await _handler.HandleAsync(peer, request, answer, token).ConfigureAwait(false);
            await frames.WriteAsync(answer.Finish(request.Type, request.RequestId), token)
                .ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // No answer can be given: the caller must learn it from the connection's end.
            if (e is not (OperationCanceledException or IOException or ObjectDisposedException))
            {
                Complain($"node {peer.NodeId}", $"{request.Type} failed: {e.Message}");
            }

            await LetOthersEndAsync(turns, token).ConfigureAwait(false);
            await frames.DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            ReleaseTurn(turns);
        }
    }

    // Whoever is refused one request may have others under way that are not: a leader that has its
    // own removal forwarded goes on reading meanwhile, and the answer is lost with the connection.
    private static async Task LetOthersEndAsync(SemaphoreSlim? turns, CancellationToken token)
    {
        if (turns is null)
        {
            return;
        }

        using var limit = new CancellationTokenSource(OthersTime);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        try
        {
            for (int others = 1; others < MaxConcurrentRequests; others++)
            {
                await turns.WaitAsync(either.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The connection has ended, or they take too long.
        }
    }

    // Appends and pre-votes only touch memory before they first wait.
    private static bool MayBlock(MessageType type) =>
        type is not (MessageType.Append or MessageType.PreVote);

    private static void ReleaseTurn(SemaphoreSlim? turns)
    {
        try
        {
            turns?.Release();
        }
        catch (ObjectDisposedException)
        {
            // The connection ended while this request was still running.
        }
    }

    private void Complain(string from, string reason)
    {
        long now = Environment.TickCount64;
        long until = Volatile.Read(ref _quietUntil);
        if (now >= until && Interlocked.CompareExchange(
            ref _quietUntil, now + (long)QuietPeriod.TotalMilliseconds, until) == until)
        {
            LogRefused(_logger, from, reason);
        }
    }

    [LoggerMessage(203, LogLevel.Warning,
        "refused a connection from {From}: {Reason} "
        + "(further refusals are not logged for a minute)")]
    private static partial void LogRefused(ILogger logger, string from, string reason);
}
