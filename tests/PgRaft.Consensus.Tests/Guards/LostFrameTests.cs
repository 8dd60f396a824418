// Requests and answers that get lost while the connection lives and later ones arrive: they cost
// the member that they are for some time, and nobody else anything.
//
// Threading: one cluster a test. Failure: the deadline of a wait, with every node's state.
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Faults;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class LostFrameTests
{
    private const int Puts = 100;
    private const int EnoughLost = 5;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AMemberThatMissesFramesHoldsNobodyUpAndCatchesUp(bool answersToo)
    {
        await using var network = new FaultyNetwork();
        await using var cluster = new TestCluster { Network = network };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        int from = leader.Address.NodeId;
        int to = followers[0].Address.NodeId;
        network.Lose(from, to, oneIn: 3);
        if (answersToo)
        {
            network.Lose(to, from, oneIn: 2);
        }

        int written = 0;
        await cluster.UntilAsync(
            async () =>
            {
                for (int i = 0; i < Puts; i++)
                {
                    await leader.PutAsync($"k{written++}", "v", TestCluster.Limit);
                }

                return network.Lost >= EnoughLost;
            },
            "frames to be lost");
        Assert.Equal(NodeRole.Leader, leader.Node.Status.Role);

        network.Heal();
        await cluster.AgreeAsync();
        Assert.Equal("v", followers[0].Get($"k{written - 1}"));
    }
}
