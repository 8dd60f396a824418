// A member that answers as the test tells it, over real TCP; and a caller that speaks to a real
// node. Threading: answers come from the listener's tasks. Failure: what the test's answer throws
// closes the connection.
using DotNext.Net.Cluster.Consensus.Raft;
using Microsoft.Extensions.Logging.Abstractions;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Tests.Guards;

internal sealed class FakePeer : IPeerHandler, IAsyncDisposable
{
    /// <summary>The founding it belongs to unless the test says another.</summary>
    public const long Founding = 4711;

    private readonly PeerListener _listener;
    private readonly Func<Frame, FrameWriter, CancellationToken, ValueTask> _answer;

    private FakePeer(
        Func<Frame, FrameWriter, CancellationToken, ValueTask> answer, int nodeId, int port)
    {
        _answer = answer;
        _listener = new PeerListener(this, NullLogger.Instance);
        Address = new MemberAddress(nodeId, "127.0.0.1", port);
    }

    public MemberAddress Address { get; }

    public static async Task<FakePeer> StartAsync(
        Func<Frame, FrameWriter, CancellationToken, ValueTask> answer, int nodeId = 2,
        int? port = null)
    {
        var peer = new FakePeer(answer, nodeId, port ?? TestNode.FreePort());
        await peer._listener.StartAsync(peer.Address.Host, peer.Address.Port, TestCluster.Limit);
        return peer;
    }

    /// <summary>Never answers, like a frozen process.</summary>
    public static ValueTask Silent(Frame request, FrameWriter answer, CancellationToken token) =>
        new(Task.Delay(Timeout.Infinite, token));

    /// <summary>Answers an append: it has the entries, and they are durable.</summary>
    public static void Take(Frame append, FrameWriter answer)
    {
        var body = new BodyReader(append.Body);
        long term = body.Int64();
        long previous = body.Int64();
        body.Int64();
        body.Int64();
        answer.Int64(term).Byte((byte)HeartbeatResult.Replicated).Int64(previous + body.Int32());
    }

    public static Hello HelloOf(
        int nodeId, int targetId, string clusterId = "test", long foundingId = Founding) =>
        new(ChannelKind.Consensus, clusterId, foundingId, nodeId, targetId, 300, "test");

    /// <summary>A peer object that dials this fake.</summary>
    public Peer Dial() => new(
        Address, kind => HelloOf(1, Address.NodeId) with { Kind = kind },
        new PeerContact(TimeProvider.System, TimeSpan.FromSeconds(2)), NullLogger.Instance);

    /// <summary>A channel to a real node, as if from node <paramref name="asNodeId"/>.</summary>
    public static PeerChannel Call(
        MemberAddress target, int asNodeId, string clusterId = "test",
        long foundingId = Founding, HostLookup? lookup = null) => new(
        target, () => HelloOf(asNodeId, target.NodeId, clusterId, foundingId),
        new ConnectionHealth(target, NullLogger.Instance), new NodeMeters(), lookup: lookup);

    /// <summary>Asks a node to join, as a leader of a term whose log ends at an index; whether it
    /// will.</summary>
    public static async Task<bool> InviteAsync(PeerChannel node, long term = 1, long lastIndex = 0)
    {
        var request = new FrameWriter().Int64(term).Int64(lastIndex);
        var body = new BodyReader(await node.CallAsync(
            MessageType.Join, request, TimeSpan.FromSeconds(10), TestCluster.Limit));
        body.Int64();
        return body.Byte() != 0;
    }

    public Hello Greeting(Hello peer) =>
        HelloOf(Address.NodeId, peer.NodeId, peer.ClusterId, peer.FoundingId) with
        {
            Kind = peer.Kind,
        };

    public ValueTask HandleAsync(
        Hello peer, Frame request, FrameWriter answer, CancellationToken token) =>
        _answer(request, answer, token);

    public ValueTask DisposeAsync() => _listener.DisposeAsync();
}
