// What is said of a member that was away is true again when it is back, also by a node that has
// nothing to send it; and a node that has ended looks for nobody (hazard 45).
using System.Net;
using System.Net.Sockets;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class PeerReconnectTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    // More than two of the pauses after which a member that is away is dialled again.
    private static readonly TimeSpan NobodyCalls = TimeSpan.FromSeconds(2.5);

    [Fact]
    public async Task AMemberThatIsBackIsFoundWithoutACall()
    {
        await using var cluster = new TestCluster();
        var fake = await FakePeer.StartAsync(Answer);
        await using var peer = fake.Dial();
        await CallAsync(peer.Consensus);
        await CallAsync(peer.Client);
        Assert.Null(peer.LastError);

        await fake.DisposeAsync();
        await cluster.UntilAsync(() => peer.LastError is not null, "the loss to be noticed");
        await using var again = await FakePeer.StartAsync(Answer, port: fake.Address.Port);
        await cluster.UntilAsync(() => peer.LastError is null, "the return to be noticed");
    }

    [Fact]
    public async Task AMemberThatNobodyCalledIsLeftAlone()
    {
        await using var fake = await FakePeer.StartAsync(Answer);
        await using var peer = fake.Dial();

        await peer.Consensus.MendAsync(TestCluster.Limit);

        Assert.Equal(0, peer.Consensus.PeerElectionTimeoutMs);
    }

    [Fact]
    public async Task ANodeThatHasEndedDialsNobody()
    {
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        var two = node.Address with { NodeId = 2, Port = TestNode.FreePort() };
        var three = node.Address with { NodeId = 3, Port = TestNode.FreePort() };
        cluster.Found([node.Address, two, three]);
        await node.StartAsync(TestCluster.Limit);
        await cluster.UntilAsync(
            () => node.Node.GetFacts().Peers
                .All(m => m.Address == node.Address || m.LastError is not null),
            "both others to be missed");
        await node.StopAsync();

        using var listener = new TcpListener(IPAddress.Loopback, two.Port);
        listener.Start();
        using var limit = new CancellationTokenSource(NobodyCalls);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => listener.AcceptSocketAsync(limit.Token).AsTask());
    }

    private static ValueTask Answer(Frame request, FrameWriter answer, CancellationToken token)
    {
        answer.Int64(1);
        return ValueTask.CompletedTask;
    }

    private static async Task CallAsync(PeerChannel channel) => await channel.CallAsync(
        MessageType.PreVote, new FrameWriter().Int64(1), Patience, TestCluster.Limit);
}
