// Three real nodes in this process: NodeHost over RaftNode, TCP on loopback, files in a temporary
// directory, requests through the Unix sockets. The members may be far from each other: then peers
// dial 127.0.0.2, where a proxy takes its time. Threading: one test.
using System.Net;
using System.Net.Sockets;

using PgRaft.Chaos.Network;
using PgRaft.Consensus;
using PgRaft.Server.Hosting;
using PgRaft.Server.Http;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

namespace PgRaft.Server.Tests.Cluster;

internal sealed class HostCluster : IAsyncDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("pgraft").FullName;
    private readonly int[] _ports = FreePorts(6);
    private readonly string _initialCluster;
    private readonly Func<NodeOptions, NodeOptions> _change;
    private readonly List<DelayProxy> _proxies = [];
    private readonly string _address;
    private readonly NodeHost?[] _hosts = new NodeHost?[3];
    private readonly LossyNode?[] _nodes = new LossyNode?[3];
    private readonly LogRecorder[] _logs = [new(), new(), new()];

    private HostCluster(
        bool isFounded, Func<NodeOptions, NodeOptions>? change, TimeSpan oneWay)
    {
        _change = change ?? (o => o);
        _address = oneWay == TimeSpan.Zero ? "127.0.0.1" : "127.0.0.2";
        _initialCluster = isFounded
            ? string.Join(
                ',', Enumerable.Range(0, 3).Select(i => $"{i + 1}={_address}:{_ports[i]}"))
            : string.Empty;
        if (oneWay == TimeSpan.Zero)
            return;
        foreach (int port in _ports.Take(3))
        {
            _proxies.Add(new DelayProxy(
                new IPEndPoint(IPAddress.Parse(_address), port),
                new IPEndPoint(IPAddress.Loopback, port), new DelayRange(oneWay, oneWay)));
        }
    }

    /// <summary>What each node's host has published last.</summary>
    public StatusRecorder[] Statuses { get; } = [new(), new(), new()];

    /// <param name="isFounded">With an initial cluster of the three.</param>
    /// <param name="change">Options of every node that are not the usual ones.</param>
    /// <param name="oneWay">How long what peers send takes, each way.</param>
    public static async Task<HostCluster> StartAsync(
        bool isFounded, Func<NodeOptions, NodeOptions>? change = null, TimeSpan oneWay = default)
    {
        var cluster = new HostCluster(isFounded, change, oneWay);
        for (int id = 1; id <= 3; id++)
            await cluster.StartNodeAsync(id);
        return cluster;
    }

    public int Port(int id) => _ports[id - 1];

    public int HttpPort(int id) => _ports[id + 2];

    public LogRecorder Log(int id) => _logs[id - 1];

    public NodeHost Host(int id) => _hosts[id - 1]!;

    public LossyNode Node(int id) => _nodes[id - 1]!;

    public string DataDirectory(int id) => Path.Combine(_root, $"node{id}");

    public TestClient Connect(int id) => new(Path.Combine(DataDirectory(id), Wire.SocketName));

    public async Task StartNodeAsync(int id)
    {
        Statuses[id - 1] = new StatusRecorder();
        var host = new NodeHost(
            Options(id),
            (options, state, loggers) => _nodes[id - 1] =
                new LossyNode(NodeHost.CreateRaftNode(options, state, loggers)),
            Statuses[id - 1],
            _logs[id - 1]);
        _hosts[id - 1] = host;
        await host.StartAsync();
        if (host.State == WorkerState.Error)
            throw new InvalidOperationException(Statuses[id - 1].Last.ErrorText);
    }

    public async Task StopNodeAsync(int id)
    {
        await Host(id).DisposeAsync();
        _hosts[id - 1] = null;
    }

    /// <summary>Waits until one node leads and all that run follow it; its id.</summary>
    public async Task<int> WaitForLeaderAsync()
    {
        int leader = 0;
        await Eventually.TrueAsync(
            () =>
            {
                var running = Running().Select(id => Statuses[id - 1].Last.Node).ToArray();
                leader = running.Max(n => n.LeaderId);
                return leader != 0 && running.All(n => n.LeaderId == leader)
                    && _hosts[leader - 1] is not null
                    && Statuses[leader - 1].Last.Node.Role == NodeRole.Leader;
            },
            "there is a leader: " + Describe());
        return leader;
    }

    /// <summary>Waits until all nodes that run have applied the same entries.</summary>
    public Task WaitForEqualAsync() => Eventually.TrueAsync(
        () => Running().Select(id => Host(id).StateMachine.AppliedIndex).Distinct().Count() == 1,
        "all have applied the same: " + Describe());

    public IEnumerable<int> Running() =>
        Enumerable.Range(1, 3).Where(id => _hosts[id - 1] is not null);

    public async Task<Answer> CallAsync(int id, RequestCode code, params object?[] values)
    {
        using var client = Connect(id);
        return await client.CallAsync(code, values);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (int id in Running().ToArray())
            await StopNodeAsync(id);
        foreach (var proxy in _proxies)
            await proxy.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    private string Describe() => string.Join("; ", Statuses.Select(s => s.Last.Node.ToString()));

    private HostOptions Options(int id)
    {
        var options = TestHost.Options(DataDirectory(id));
        return options with
        {
            Http = new HttpOptions(true, "127.0.0.1", HttpPort(id)),
            Node = _change(options.Node with
            {
                Self = new MemberAddress(id, _address, Port(id)),
                InitialCluster = MemberSyntax.ParseInitialCluster(_initialCluster, id),
            }),
        };
    }

    private static int[] FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count)
            .Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        foreach (var listener in listeners)
            listener.Start();
        var ports = listeners.Select(l => ((IPEndPoint)l.LocalEndpoint).Port).ToArray();
        foreach (var listener in listeners)
            listener.Dispose();
        return ports;
    }
}
