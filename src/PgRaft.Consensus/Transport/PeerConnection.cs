// One established connection, calling side: requests out, answers in.
// Threading: calls from any thread; one task reads. Failure: when the connection breaks every
// waiting call ends with PeerUnavailableException(requestLeft: true).
using System.Diagnostics;

namespace PgRaft.Consensus.Transport;

/// <summary>A connection after the hello.</summary>
internal sealed class PeerConnection : IAsyncDisposable
{
    private readonly int _nodeId;
    private readonly TaskCreationOptions _continuations;
    private readonly FrameStream _frames;
    private readonly ConnectionHealth _health;
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, TaskCompletionSource<ReadOnlyMemory<byte>>> _waiting = [];
    private readonly CancellationTokenSource _closing = new();
    private uint _lastRequestId;
    private long _lastHeard = Stopwatch.GetTimestamp();
    private bool _broken;

    /// <summary>Takes over the frames and starts reading.</summary>
    public PeerConnection(int nodeId, ChannelKind kind, FrameStream frames, ConnectionHealth health)
    {
        // Answers to votes and appends are few and quick to take in; passing each to another thread
        // would be most of what an idle leader does.
        _continuations = kind == ChannelKind.Consensus
            ? TaskCreationOptions.None
            : TaskCreationOptions.RunContinuationsAsynchronously;
        _nodeId = nodeId;
        _frames = frames;
        _health = health;
        _ = ReadLoopAsync();
    }

    /// <summary>Whether no further call can succeed.</summary>
    public bool IsBroken
    {
        get
        {
            lock (_gate)
            {
                return _broken;
            }
        }
    }

    /// <summary>Sends a request and waits for its answer.</summary>
    public async Task<ReadOnlyMemory<byte>> CallAsync(
        MessageType type, FrameWriter request, CancellationToken token)
    {
        var (requestId, answer) = Register();
        try
        {
            await SendAsync(type, request, requestId, token).ConfigureAwait(false);
            return await answer.WaitAsync(token).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                _waiting.Remove(requestId);
            }
        }
    }

    /// <summary>
    /// Closes the connection when nothing has arrived since <paramref name="timestamp"/>.
    /// </summary>
    public void CloseIfSilentSince(long timestamp)
    {
        if (Volatile.Read(ref _lastHeard) < timestamp)
        {
            Break(new IOException("the connection went silent"));
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        Break(new IOException("the connection was closed"), report: false);
        return ValueTask.CompletedTask;
    }

    private (uint RequestId, Task<ReadOnlyMemory<byte>> Answer) Register()
    {
        var source = new TaskCompletionSource<ReadOnlyMemory<byte>>(_continuations);
        lock (_gate)
        {
            if (_broken)
            {
                throw new PeerUnavailableException(
                    $"the connection to node {_nodeId} is broken", requestLeft: false);
            }

            uint requestId = ++_lastRequestId;
            _waiting.Add(requestId, source);
            return (requestId, source.Task);
        }
    }

    private async Task SendAsync(
        MessageType type, FrameWriter request, uint requestId, CancellationToken token)
    {
        try
        {
            await _frames.WriteAsync(request.Finish(type, requestId), token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            Break(e);
            throw new PeerUnavailableException(
                $"the connection to node {_nodeId} broke: {e.Message}", requestLeft: true, e);
        }
    }

    private async Task ReadLoopAsync()
    {
        Exception reason;
        try
        {
            while (await _frames.ReadAsync(FrameStream.MaxBodyBytes, _closing.Token)
                .ConfigureAwait(false) is { } frame)
            {
                Volatile.Write(ref _lastHeard, Stopwatch.GetTimestamp());
                TaskCompletionSource<ReadOnlyMemory<byte>>? source;
                lock (_gate)
                {
                    _waiting.Remove(frame.RequestId, out source);
                }

                source?.TrySetResult(frame.Body);
            }

            reason = new IOException($"node {_nodeId} closed the connection");
        }
        catch (Exception e)
        {
            reason = e;
        }

        Break(reason);
    }

    private void Break(Exception reason, bool report = true)
    {
        TaskCompletionSource<ReadOnlyMemory<byte>>[] waiting;
        lock (_gate)
        {
            if (_broken)
            {
                return;
            }

            _broken = true;
            waiting = [.. _waiting.Values];
        }

        _closing.Cancel();
        _ = _frames.DisposeAsync().AsTask();
        if (report)
        {
            _health.Failed(reason.Message);
        }

        foreach (var source in waiting)
        {
            source.TrySetException(new PeerUnavailableException(
                $"the connection to node {_nodeId} broke: {reason.Message}",
                requestLeft: true,
                reason));

            // A caller whose send failed, or that was cancelled, does not look at it.
            _ = source.Task.Exception;
        }
    }
}
