// The network between in-process members: every connection goes through a proxy that knows, from
// the hello, who is calling whom, and passes whole frames, so that it can cut, delay, lose some,
// break off in the middle of one, and deliver old ones late, one direction at a time.
//
// Each network has a loopback subnet of its own, so that runs do not meet: member j is dialled at
// 127.a.b.j and listens at 127.a.b.(100+j), on one port that is no ephemeral one.
// Threading: rules may change while connections run. Failure: a cut connection hangs, as in a real
// partition; it is not closed.
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FaultyNetwork : IAsyncDisposable
{
    /// <summary>Every member's port.</summary>
    public const int Port = 7001;

    private const int BehindProxyOffset = 100;
    private const int ReservationHost = 250;
    private static int _lastSubnet = Environment.ProcessId * 31;
    private readonly ConcurrentDictionary<(int From, int To), Link> _links = new();
    private readonly ConcurrentDictionary<ProxiedConnection, byte> _connections = new();
    private readonly ConcurrentBag<Socket> _listeners = [];
    private readonly ConcurrentBag<Task> _accepting = [];
    private readonly CancellationTokenSource _closing = new();
    private readonly Socket _reservation;
    private readonly string _subnet;

    public FaultyNetwork()
    {
        (_subnet, _reservation) = Reserve();
    }

    /// <summary>Sabotage: half of the appends with entries are acknowledged by the proxy and never
    /// reach the member.</summary>
    public bool ForgesAcknowledgements { get; init; }

    /// <summary>Sabotage: now and then a member is asked, as if by its leader, to stand for
    /// election.</summary>
    public bool ForgesConsent { get; init; }

    /// <summary>Old frames delivered late, on connections of their own.</summary>
    public int Replayed => _links.Values.Sum(l => l.Replayed);

    /// <summary>Frames that got lost.</summary>
    public int Lost => _links.Values.Sum(l => l.Lost);

    /// <summary>The host name peers dial for a member.</summary>
    public string HostOf(int nodeId) => $"{_subnet}.{nodeId}";

    /// <summary>Where the member itself listens.</summary>
    public string BehindProxy(int nodeId) => $"{_subnet}.{BehindProxyOffset + nodeId}";

    /// <summary>Starts the proxy of a member.</summary>
    public void Add(int nodeId)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Parse(HostOf(nodeId)), Port));
        listener.Listen(128);
        _listeners.Add(listener);
        _accepting.Add(AcceptAsync(listener, nodeId));
    }

    /// <summary>Frames from one member to another wait until <see cref="Heal"/>.</summary>
    public void Cut(int from, int to) => Of(from, to).Cut();

    /// <summary>Cuts one member off from all others, both ways.</summary>
    public void Isolate(int nodeId, IEnumerable<int> members)
    {
        foreach (int other in members.Where(m => m != nodeId))
        {
            Cut(nodeId, other);
            Cut(other, nodeId);
        }
    }

    /// <summary>Frames from one member to another take this long.</summary>
    public void Delay(int from, int to, TimeSpan delay) => Of(from, to).Latency = delay;

    /// <summary>One frame in so many from one to another gets lost, while those after it arrive:
    /// more than TCP does, and what a peer with a defect might. None of a snapshot's transfer,
    /// whose last answer may take minutes and is waited for as long.</summary>
    public void Lose(int from, int to, int oneIn) => Of(from, to).LoseEvery = oneIn;

    /// <summary>The next frame from one to another breaks off, with its connection.</summary>
    public void BreakInFrame(int from, int to) => Of(from, to).BreakNextFrame();

    /// <summary>All connections of a member break, as when its machine loses power.</summary>
    public void Disconnect(int nodeId)
    {
        foreach (var connection in _connections.Keys)
        {
            if (connection.Joins(nodeId))
            {
                connection.Dispose();
            }
        }
    }

    /// <summary>Requests that one member sent another some time ago arrive again, out of order, on
    /// a connection of their own: as from an old connection whose packets were held up.</summary>
    public Task ReplayAsync(int from, int to, Random random) =>
        Of(from, to).ReplayAsync(EndPointOf(to), random, _closing.Token);

    /// <summary>Everything works again.</summary>
    public void Heal()
    {
        foreach (var link in _links.Values)
        {
            link.Heal();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        Heal();
        foreach (var listener in _listeners)
        {
            listener.Dispose();
        }

        foreach (var connection in _connections.Keys)
        {
            connection.Dispose();
        }

        await Task.WhenAll(_accepting);
        _reservation.Dispose();
        _closing.Dispose();
    }

    internal Link Of(int from, int to) => _links.GetOrAdd((from, to), _ => new Link());

    private static (string Subnet, Socket Held) Reserve()
    {
        while (true)
        {
            int number = Interlocked.Increment(ref _lastSubnet);
            string subnet = $"127.{1 + (((number >> 8) & 0xff) % 254)}.{number & 0xff}";
            var held = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                held.Bind(new IPEndPoint(IPAddress.Parse($"{subnet}.{ReservationHost}"), Port));
                held.Listen(1);
                return (subnet, held);
            }
            catch (SocketException)
            {
                // Another run has it.
                held.Dispose();
            }
        }
    }

    private IPEndPoint EndPointOf(int nodeId) =>
        new(IPAddress.Parse(BehindProxy(nodeId)), Port);

    private async Task AcceptAsync(Socket listener, int nodeId)
    {
        while (!_closing.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptAsync(_closing.Token), nodeId);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException
                or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket caller, int nodeId)
    {
        using var connection = new ProxiedConnection(this, caller, nodeId, EndPointOf(nodeId));
        _connections.TryAdd(connection, 0);
        try
        {
            await connection.RunAsync(_closing.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException
            or ObjectDisposedException or IOException or InvalidDataException)
        {
            // Either side is gone; so is the connection.
        }
        finally
        {
            _connections.TryRemove(connection, out _);
        }
    }
}
