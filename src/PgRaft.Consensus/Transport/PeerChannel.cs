// The calling side of a connection to one member: connects when first needed, says hello, sends
// requests and pairs the answers with them by id.
//
// Why it is hard: the network may swallow a peer without a word. A call that times out closes the
// connection when nothing at all has arrived since it was sent, because on a healed partition the
// old TCP connection may stay silent for minutes; the next call dials afresh.
// Threading: calls from any thread, concurrently. Failure: PeerUnavailableException, which says
// whether the request may have reached the peer.
using System.Diagnostics;
using System.Net.Sockets;
using PgRaft.Consensus.Metrics;

namespace PgRaft.Consensus.Transport;

/// <summary>One outgoing connection, remade whenever it breaks.</summary>
internal sealed class PeerChannel : IAsyncDisposable
{
    private readonly MemberAddress _target;
    private readonly Func<Hello> _hello;
    private readonly ConnectionHealth _health;
    private readonly NodeMeters _meters;
    private readonly Action<Hello>? _heard;
    private readonly HostLookup _lookup;
    private readonly SemaphoreSlim _connecting = new(1, 1);
    private readonly CancellationTokenSource _closed = new();
    private volatile PeerConnection? _current;
    private volatile bool _wasUsed;

    /// <summary>Prepares a channel; connects at the first call.</summary>
    /// <param name="target">The member to call.</param>
    /// <param name="hello">Gives this node's hello for that member, anew for each
    /// connection.</param>
    /// <param name="health">Told of connections made and broken.</param>
    /// <param name="meters">Told of the bytes that pass.</param>
    /// <param name="heard">Told what the other side says of itself.</param>
    /// <param name="lookup">Finds the target's addresses.</param>
    public PeerChannel(
        MemberAddress target, Func<Hello> hello, ConnectionHealth health, NodeMeters meters,
        Action<Hello>? heard = null, HostLookup? lookup = null)
    {
        _meters = meters;
        _target = target;
        _hello = hello;
        _health = health;
        _heard = heard;
        _lookup = lookup ?? new HostLookup(target.Host);
    }

    /// <summary>
    /// The peer's lower election timeout as it last said it; 0 before the first hello.
    /// </summary>
    public int PeerElectionTimeoutMs { get; private set; }

    /// <summary>Sends a request and waits for its answer.</summary>
    /// <param name="type">What it is.</param>
    /// <param name="request">Its body; must not change before the call returns.</param>
    /// <param name="timeout">For connecting and answering together.</param>
    /// <param name="token">Ends the waiting.</param>
    /// <exception cref="PeerUnavailableException">No answer.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="token"/> was
    /// cancelled.</exception>
    public async Task<ReadOnlyMemory<byte>> CallAsync(
        MessageType type, FrameWriter request, TimeSpan timeout, CancellationToken token)
    {
        using var deadline = new CancellationTokenSource(timeout);
        return await CallAsync(type, request, deadline.Token, token).ConfigureAwait(false);
    }

    /// <summary>As the other, with a token that ends the waiting for an answer.</summary>
    public async Task<ReadOnlyMemory<byte>> CallAsync(
        MessageType type, FrameWriter request, CancellationToken deadline, CancellationToken token)
    {
        long start = Stopwatch.GetTimestamp();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(
            token, deadline, _closed.Token);
        PeerConnection? connection = null;
        try
        {
            connection = await ConnectAsync(limit.Token).ConfigureAwait(false);
            return await connection.CallAsync(type, request, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (token.IsCancellationRequested)
        {
            // The caller knows its own token only; another would be an error to the engine.
            throw new OperationCanceledException(e.Message, e, token);
        }
        catch (OperationCanceledException e)
        {
            connection?.CloseIfSilentSince(start);
            throw new PeerUnavailableException(
                $"node {_target.NodeId} did not answer within "
                + $"{Stopwatch.GetElapsedTime(start).TotalMilliseconds:F0} ms",
                requestLeft: connection is not null, e);
        }
    }

    /// <summary>Connects again, if there was a connection or an attempt and it is not open.
    /// </summary>
    /// <exception cref="PeerUnavailableException">It cannot be reached, or refuses.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="token"/> was cancelled, or the
    /// channel closed.</exception>
    public async Task MendAsync(CancellationToken token)
    {
        if (_wasUsed)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(
                token, _closed.Token);
            await ConnectAsync(limit.Token).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _closed.CancelAsync().ConfigureAwait(false);
        if (Interlocked.Exchange(ref _current, null) is { } connection)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask<PeerConnection> ConnectAsync(CancellationToken token)
    {
        if (_current is { IsBroken: false } open)
        {
            return open;
        }

        await _connecting.WaitAsync(token).ConfigureAwait(false);
        try
        {
            if (_current is not { IsBroken: false } connection)
            {
                connection = await DialAsync(token).ConfigureAwait(false);
                _current = connection;
            }

            return connection;
        }
        catch (PeerRefusedException e)
        {
            _health.Refused(e.Message);
            throw new PeerUnavailableException(e.Message, requestLeft: false, e);
        }
        catch (Exception e) when (e is SocketException or IOException or InvalidDataException)
        {
            _health.Failed(e.Message);
            throw new PeerUnavailableException(e.Message, requestLeft: false, e);
        }
        finally
        {
            _connecting.Release();
        }
    }

    private async ValueTask<PeerConnection> DialAsync(CancellationToken token)
    {
        _wasUsed = true;
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        FrameStream? frames = null;
        var mine = _hello();
        try
        {
            var addresses = await _lookup.FindAsync(token).ConfigureAwait(false);
            await socket.ConnectAsync(addresses, _target.Port, token).ConfigureAwait(false);
            frames = new FrameStream(socket, _meters);
            await GreetAsync(mine, frames, token).ConfigureAwait(false);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        _health.Restored();
        return new PeerConnection(_target.NodeId, mine.Kind, frames, _health);
    }

    private async ValueTask GreetAsync(Hello mine, FrameStream frames, CancellationToken token)
    {
        var writer = new FrameWriter();
        mine.Write(writer);
        await frames.WriteAsync(writer.Finish(MessageType.Hello, 0), token).ConfigureAwait(false);
        var answer = await frames.ReadAsync(Hello.MaxBytes, token).ConfigureAwait(false)
            ?? throw new IOException($"node {_target.NodeId} closed the connection at the hello");
        var reader = new BodyReader(answer.Body);
        if (reader.Byte() != 0)
        {
            throw Refused(mine, reader);
        }

        var theirs = Hello.Read(reader.Rest);
        if (theirs.IdentityRefusal(mine) is { } identity)
        {
            throw new PeerRefusedException(
                $"node {_target.NodeId} is not who it should be: {identity}", isForVersion: false);
        }

        _heard?.Invoke(theirs);
        if (theirs.VersionRefusal(mine) is { } reason)
        {
            throw new PeerRefusedException(reason, isForVersion: true);
        }

        PeerElectionTimeoutMs = theirs.ElectionTimeoutMs;
    }

    // A member that refuses this one for its version says its own.
    private PeerRefusedException Refused(Hello mine, BodyReader reader)
    {
        string reason = reader.Text();
        bool isForVersion = false;
        if (!reader.Rest.IsEmpty && Hello.Read(reader.Rest) is var theirs
            && theirs.IdentityRefusal(mine) is null)
        {
            _heard?.Invoke(theirs);
            isForVersion = theirs.VersionRefusal(mine) is not null;
        }

        return new PeerRefusedException(
            $"node {_target.NodeId} refused the connection: {reason}", isForVersion);
    }
}
