// One in-process member over real TCP and real files, which can be stopped and started again.
// Threading: used by one test at a time. Failure: errors of the node reach the test.
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Consensus.Tests.Guards;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Snapshots;
using Xunit;

namespace PgRaft.Consensus.Tests.Cluster;

internal sealed class TestNode : IAsyncDisposable
{
    private const int LowestPort = 12000;
    private const int HighestPort = 32000;
    private static readonly ConcurrentDictionary<int, byte> GivenPorts = new();
    private readonly TestCluster _cluster;
    private readonly string _directory;
    private Incarnation? _running;

    public TestNode(TestCluster cluster, int nodeId, string directory)
    {
        _cluster = cluster;
        _directory = directory;
        Address = new MemberAddress(
            nodeId, cluster.HostOf(nodeId),
            cluster.Network is null ? FreePort() : FaultyNetwork.Port);
    }

    public MemberAddress Address { get; private set; }

    public string DataDirectory => Path.Combine(_directory, $"node{Address.NodeId}");

    /// <summary>The disk of its next start.</summary>
    public IStorageIo Io { get; set; } = PhysicalIo.Instance;

    /// <summary>What it measures leases by.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>What it says at its next start it can speak and read.</summary>
    public NodeVersions Versions { get; set; } = NodeVersions.OfThisBuild;

    /// <summary>The pgraft version it names at its next start.</summary>
    public string Version { get; set; } = "test";

    /// <summary>Founding members it starts with; null = the cluster's.</summary>
    public IReadOnlyList<MemberAddress>? InitialCluster { get; set; }

    /// <summary>Lower election timeout of its next start; 0 = the cluster's.</summary>
    public int ElectionTimeout { get; set; }

    public RaftNode Node => Running.Node;

    public StateMachine StateMachine => Running.StateMachine;

    public bool IsUp => _running is not null;

    // A node and its state are one thing: a restart replaces both.
    private Incarnation Running =>
        _running ?? throw new InvalidOperationException("The node is stopped.");

    /// <summary>A port from below the kernel's range of ephemeral ports: one from that range could
    /// be taken by an outgoing connection before the node binds it.</summary>
    public static int FreePort()
    {
        while (true)
        {
            int port = Random.Shared.Next(LowestPort, HighestPort);
            if (!GivenPorts.TryAdd(port, 0))
            {
                continue;
            }

            try
            {
                using var probe = new Socket(SocketType.Stream, ProtocolType.Tcp);
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Somebody else's.
            }
        }
    }

    /// <summary>From its next start on it listens at another port.</summary>
    public void Move() => Address = Address with { Port = FreePort() };

    /// <summary>Its disk is lost; it must not run.</summary>
    public void Wipe() => Directory.Delete(DataDirectory, recursive: true);

    public async Task StartAsync(CancellationToken token)
    {
        // The lock is the kernel's, whatever disk the rest is on.
        Directory.CreateDirectory(DataDirectory);
        var stateMachine = new StateMachine();
        var node = new RaftNode(Options(), stateMachine, _cluster.Loggers);
        await node.StartAsync(token);
        _running = new Incarnation(node, stateMachine);
    }

    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _running, null) is { } running)
        {
            await running.Node.DisposeAsync();
            if (!_cluster.MayBreak)
            {
                await RequireUnbrokenAsync(running.Node);
            }
        }
    }

    public ValueTask<Proposal> PutAsync(string key, string value, CancellationToken token) =>
        Node.ProposeAsync(
            CommandEncoder.KvPut(
                System.Text.Encoding.UTF8.GetBytes(key), System.Text.Encoding.UTF8.GetBytes(value)),
            0, token);

    /// <summary>A channel to it, as if from another member of its cluster.</summary>
    public PeerChannel CallAs(int nodeId) =>
        FakePeer.Call(Address, nodeId, _cluster.ClusterId, Node.FoundingId);

    public string? Get(string key) => Get(StateMachine, key);

    /// <summary>A linearizable read of a value and its revision (null, 0 where there is none), or a
    /// local one without <paramref name="barrier"/>.</summary>
    public async Task<(string? Value, long Revision)> ReadAsync(
        string key, bool barrier, CancellationToken token)
    {
        var running = Running;
        if (barrier)
        {
            await running.Node.ReadBarrierAsync(token);
        }

        byte[] name = System.Text.Encoding.UTF8.GetBytes(key);
        return running.StateMachine.Kv.TryGet(name, out var entry)
            ? (System.Text.Encoding.UTF8.GetString(entry.Value.Span), entry.ModRevision)
            : (null, 0);
    }

    public string Hash() => StateHash.ComputeHex(StateMachine.Capture());

    public async ValueTask DisposeAsync() => await StopAsync();

    private static async Task RequireUnbrokenAsync(RaftNode node)
    {
        if (node.Failure is { IsCompletedSuccessfully: true } failure)
        {
            var reason = await failure;
            Assert.False(reason.InnerException is InvariantViolatedException, reason.ToString());
        }
    }

    private static string? Get(StateMachine stateMachine, string key) =>
        stateMachine.Kv.TryGet(System.Text.Encoding.UTF8.GetBytes(key), out var entry)
            ? System.Text.Encoding.UTF8.GetString(entry.Value.Span)
            : null;

    private NodeOptions Options() => new()
    {
        ClusterId = _cluster.ClusterId,
        Self = Address,
        ListenAddress = _cluster.Network?.BehindProxy(Address.NodeId) ?? "127.0.0.1",
        DataDirectory = DataDirectory,
        InitialCluster = InitialCluster ?? _cluster.InitialCluster,
        ElectionTimeoutMs = ElectionTimeout > 0 ? ElectionTimeout : _cluster.ElectionTimeout,
        HeartbeatIntervalMs = _cluster.ElectionTimeout / 10,
        Version = Version,
        Runtime = _cluster.Runtime,
        Io = Io,
        LogSegmentBytes = Io is PhysicalIo ? LogOptions.DefaultSegmentBytes : 64 * 1024,
        Clock = Clock,
        Versions = Versions,
    };

    private sealed record Incarnation(RaftNode Node, StateMachine StateMachine);
}
