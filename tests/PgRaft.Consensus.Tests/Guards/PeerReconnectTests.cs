// What is said of a member that was away is true again when it is back, also by a node that has
// nothing to send it.
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class PeerReconnectTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

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

    private static ValueTask Answer(Frame request, FrameWriter answer, CancellationToken token)
    {
        answer.Int64(1);
        return ValueTask.CompletedTask;
    }

    private static async Task CallAsync(PeerChannel channel) => await channel.CallAsync(
        MessageType.PreVote, new FrameWriter().Int64(1), Patience, TestCluster.Limit);
}
