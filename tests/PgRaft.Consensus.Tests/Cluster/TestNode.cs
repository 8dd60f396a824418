// One in-process member over real TCP and real files, which can be stopped and started again.
// Threading: used by one test at a time. Failure: errors of the node reach the test.
using System.Net;
using System.Net.Sockets;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Snapshots;

namespace PgRaft.Consensus.Tests.Cluster;

internal sealed class TestNode : IAsyncDisposable
{
    private readonly TestCluster _cluster;
    private readonly string _directory;
    private RaftNode? _node;

    public TestNode(TestCluster cluster, int nodeId, string directory)
    {
        _cluster = cluster;
        _directory = directory;
        Address = new MemberAddress(nodeId, "127.0.0.1", FreePort());
    }

    public MemberAddress Address { get; }

    public string DataDirectory => Path.Combine(_directory, $"node{Address.NodeId}");

    public RaftNode Node => _node ?? throw new InvalidOperationException("The node is stopped.");

    public StateMachine StateMachine { get; private set; } = new();

    public bool IsUp => _node is not null;

    public static int FreePort()
    {
        using var probe = new Socket(SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    public async Task StartAsync(CancellationToken token)
    {
        StateMachine = new StateMachine();
        var node = new RaftNode(Options(), StateMachine, _cluster.Loggers);
        await node.StartAsync(token);
        _node = node;
    }

    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _node, null) is { } node)
        {
            await node.DisposeAsync();
        }
    }

    public ValueTask<Proposal> PutAsync(string key, string value, CancellationToken token) =>
        Node.ProposeAsync(
            CommandEncoder.KvPut(
                System.Text.Encoding.UTF8.GetBytes(key), System.Text.Encoding.UTF8.GetBytes(value)),
            0, token);

    public string? Get(string key) =>
        StateMachine.Kv.TryGet(System.Text.Encoding.UTF8.GetBytes(key), out var entry)
            ? System.Text.Encoding.UTF8.GetString(entry.Value.Span)
            : null;

    public string Hash() => StateHash.ComputeHex(StateMachine.Capture());

    public async ValueTask DisposeAsync() => await StopAsync();

    private NodeOptions Options() => new()
    {
        ClusterId = _cluster.ClusterId,
        Self = Address,
        ListenAddress = Address.Host,
        DataDirectory = DataDirectory,
        InitialCluster = _cluster.InitialCluster,
        ElectionTimeoutMs = TestCluster.ElectionTimeoutMs,
        HeartbeatIntervalMs = TestCluster.ElectionTimeoutMs / 10,
        Version = "test",
        Runtime = _cluster.Runtime,
    };
}
