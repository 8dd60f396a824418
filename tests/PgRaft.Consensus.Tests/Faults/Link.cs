// One direction between two members: what happens to frames on it, and the last ones, which can be
// delivered again.
// Threading: any thread. Failure: none of its own.
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class Link
{
    private const int KeptFrames = 64;
    private const int MaxKeptBytes = 64 * 1024;
    private readonly ConcurrentQueue<(ChannelKind Kind, byte[] Frame)> _kept = new();
    private readonly ConcurrentDictionary<ChannelKind, byte[]> _hellos = new();
    private volatile TaskCompletionSource? _cut;
    private int _breaks;
    private int _replayed;
    private int _passed;
    private int _lost;

    public TimeSpan Latency { get; set; }

    /// <summary>0 = none.</summary>
    public int LoseEvery { get; set; }

    public int Replayed => Volatile.Read(ref _replayed);

    public int Lost => Volatile.Read(ref _lost);

    public void Cut()
    {
        var cut = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.CompareExchange(ref _cut, cut, null);
    }

    public void BreakNextFrame() => Volatile.Write(ref _breaks, 1);

    public bool TakeBreak() => Interlocked.Exchange(ref _breaks, 0) != 0;

    // Whether this frame gets lost.
    public bool Loses()
    {
        int every = LoseEvery;
        if (every == 0 || Interlocked.Increment(ref _passed) % every != 0)
        {
            return false;
        }

        Interlocked.Increment(ref _lost);
        return true;
    }

    public void Heal()
    {
        Latency = TimeSpan.Zero;
        LoseEvery = 0;
        Volatile.Write(ref _breaks, 0);
        Interlocked.Exchange(ref _cut, null)?.TrySetResult();
    }

    public void Greeted(ChannelKind kind, byte[] hello) => _hellos[kind] = hello;

    public void Keep(ChannelKind kind, byte[] frame)
    {
        if (frame.Length <= MaxKeptBytes)
        {
            _kept.Enqueue((kind, frame));
            while (_kept.Count > KeptFrames)
            {
                _kept.TryDequeue(out _);
            }
        }
    }

    // What waits behind a cut arrives late after healing, as retransmissions do.
    public async Task PassAsync(CancellationToken token)
    {
        if (_cut is { } cut)
        {
            await cut.Task.WaitAsync(token);
        }

        if (Latency > TimeSpan.Zero)
        {
            // The fault itself: time passes on the wire.
            await Task.Delay(Latency, token);
        }
    }

    public async Task ReplayAsync(IPEndPoint member, Random random, CancellationToken token)
    {
        var kind = random.Next(4) == 0 ? ChannelKind.Snapshot : ChannelKind.Consensus;
        var frames = _kept.Where(k => k.Kind == kind).Select(k => k.Frame).ToArray();
        random.Shuffle(frames);
        if (frames.Length == 0 || !_hellos.TryGetValue(kind, out byte[]? hello))
        {
            return;
        }

        try
        {
            using var socket = new Socket(
                AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(member, token);
            await socket.SendAsync(hello, token);
            await ProxiedConnection.ReadFrameAsync(socket, token);
            foreach (byte[] frame in frames.Take(random.Next(1, 8)))
            {
                // Answers go nowhere: whoever asked has long given up.
                await socket.SendAsync(frame, token);
                await ProxiedConnection.ReadFrameAsync(socket, token);
                Interlocked.Increment(ref _replayed);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException
            or ObjectDisposedException or IOException)
        {
            // The member is down or refused them.
        }
    }
}
