// The network between in-process members: every connection goes through a proxy that knows, from
// the hello, who is calling whom, and delays or cuts accordingly, one direction at a time.
//
// Member j has the address 127.0.1.j, where its proxy listens; the member itself listens on the
// same port of 127.0.0.1.
// Threading: rules may change while connections run. Failure: a cut connection hangs, as in a real
// partition; it is not closed.
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FaultyNetwork : IAsyncDisposable
{
    private readonly ConcurrentDictionary<(int From, int To), Rule> _rules = new();
    private readonly List<Socket> _listeners = [];
    private readonly ConcurrentBag<Task> _tasks = [];
    private readonly CancellationTokenSource _closing = new();

    /// <summary>The host name peers dial for a member.</summary>
    public static string HostOf(int nodeId) => $"127.0.1.{nodeId}";

    /// <summary>Starts the proxy of a member.</summary>
    public void Add(int nodeId, int port)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Parse(HostOf(nodeId)), port));
        listener.Listen(128);
        _listeners.Add(listener);
        _tasks.Add(AcceptAsync(listener, nodeId, port));
    }

    /// <summary>Bytes from one member to another vanish until <see cref="Heal"/>.</summary>
    public void Cut(int from, int to) => Of(from, to).Cut();

    /// <summary>Bytes from one member to another take this long.</summary>
    public void Delay(int from, int to, TimeSpan delay) => Of(from, to).Latency = delay;

    /// <summary>Everything works again.</summary>
    public void Heal()
    {
        foreach (var rule in _rules.Values)
        {
            rule.Heal();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        Heal();
        _listeners.ForEach(l => l.Dispose());
        await Task.WhenAll(_tasks);
        _closing.Dispose();
    }

    private Rule Of(int from, int to) => _rules.GetOrAdd((from, to), _ => new Rule());

    private async Task AcceptAsync(Socket listener, int nodeId, int port)
    {
        while (!_closing.IsCancellationRequested)
        {
            try
            {
                var caller = await listener.AcceptAsync(_closing.Token);
                _tasks.Add(ConnectAsync(caller, nodeId, port));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException
                or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ConnectAsync(Socket caller, int nodeId, int port)
    {
        using var member = new Socket(
            AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using (caller)
        {
            try
            {
                caller.NoDelay = member.NoDelay = true;
                byte[] hello = await ReadHelloAsync(caller);
                int from = Hello.Read(hello.AsMemory(FrameWriter.HeaderBytes)).NodeId;
                await Of(from, nodeId).PassAsync(_closing.Token);
                await member.ConnectAsync(IPAddress.Loopback, port, _closing.Token);
                await member.SendAsync(hello, _closing.Token);
                await Task.WhenAny(
                    PumpAsync(caller, member, Of(from, nodeId)),
                    PumpAsync(member, caller, Of(nodeId, from)));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException
                or ObjectDisposedException or IOException or InvalidDataException)
            {
                // Either side is gone; so is the connection.
            }
        }
    }

    private async Task<byte[]> ReadHelloAsync(Socket socket)
    {
        byte[] head = new byte[FrameWriter.HeaderBytes];
        await ReadAsync(socket, head);
        byte[] frame = new byte[head.Length + BinaryPrimitives.ReadInt32LittleEndian(head)];
        head.CopyTo(frame, 0);
        await ReadAsync(socket, frame.AsMemory(head.Length));
        return frame;
    }

    private async Task ReadAsync(Socket socket, Memory<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int read = await socket.ReceiveAsync(buffer, _closing.Token);
            buffer = read > 0 ? buffer[read..] : throw new IOException("closed");
        }
    }

    private async Task PumpAsync(Socket from, Socket to, Rule rule)
    {
        byte[] buffer = new byte[64 * 1024];
        while (true)
        {
            int read = await from.ReceiveAsync(buffer, _closing.Token);
            if (read == 0)
            {
                return;
            }

            await rule.PassAsync(_closing.Token);
            await to.SendAsync(buffer.AsMemory(0, read), _closing.Token);
        }
    }

    private sealed class Rule
    {
        private volatile TaskCompletionSource? _cut;

        public TimeSpan Latency { get; set; }

        public void Cut() => _cut ??= new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Heal()
        {
            Latency = TimeSpan.Zero;
            Interlocked.Exchange(ref _cut, null)?.TrySetResult();
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
    }
}
