// Hazard 46: members that are alive and slower than the majority, behind which rounds queue.
//
// Threading: one cluster a test. Failure: the deadline of a wait, with every node's state.
using System.Diagnostics;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Faults;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class SlowMemberGuardTests
{
    // So many that each of them would take the far one a round trip, and the queue is full.
    private const int Puts = 300;
    private static readonly TimeSpan Way = TimeSpan.FromMilliseconds(100);

    // Two zones: the near one and the leader make the majority, until the near one dies.
    [Fact]
    public async Task AMemberFarAwayIsBehindByFewRoundTrips()
    {
        await using var network = new FaultyNetwork();
        await using var cluster = new TestCluster { Network = network, ElectionTimeout = 2000 };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        var (near, far) = (followers[0], followers[1]);
        network.Delay(leader.Address.NodeId, far.Address.NodeId, Way);
        await PutManyAsync(leader, Puts);

        await near.StopAsync();
        var clock = Stopwatch.StartNew();
        await leader.PutAsync("after", "v", TestCluster.Limit);

        Assert.InRange(clock.Elapsed, TimeSpan.Zero, 10 * Way);
    }

    // Of five, two are fast; one of these is removed, and one of the slow ones must do.
    [Fact]
    public async Task TheSlowOnesAreNotTakenForDeadWhenAFastOneIsRemoved()
    {
        await using var network = new FaultyNetwork();
        await using var cluster = new TestCluster { Network = network, ElectionTimeout = 2000 };
        cluster.AddMany(5);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        long term = leader.Node.Status.Term;
        foreach (var slow in followers[..2])
        {
            network.Delay(leader.Address.NodeId, slow.Address.NodeId, Way);
        }

        using var over = new CancellationTokenSource();
        var load = PutUntilAsync(leader, over.Token);
        await PutManyAsync(leader, Puts);
        await leader.Node.RemoveMemberAsync(followers[2].Address.NodeId, TestCluster.Limit);
        await over.CancelAsync();
        await load;

        Assert.Equal(term, leader.Node.Status.Term);
        Assert.Equal(NodeRole.Leader, leader.Node.Status.Role);
    }

    private static async Task PutManyAsync(TestNode leader, int count)
    {
        for (int i = 0; i < count; i++)
        {
            await leader.PutAsync($"k{i}", "v", TestCluster.Limit);
        }
    }

    private static async Task PutUntilAsync(TestNode leader, CancellationToken over)
    {
        for (int i = 0; !over.IsCancellationRequested; i++)
        {
            await leader.PutAsync($"other{i}", "v", TestCluster.Limit);
        }
    }
}
