// Clocks that are wrong on one member: a wall clock that jumps by an hour, which must mean nothing,
// and a CLOCK_MONOTONIC that runs fast or slow, which leases bear up to their margin of a tenth.
//
// Threading: the tests run one after the other, each with a cluster of its own.

using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class ClockTests : ServerTest
{
    private static readonly TimeSpan Jump = TimeSpan.FromHours(1);
    private static readonly TimeSpan Lease = TimeSpan.FromMilliseconds(900);

    [Fact]
    public async Task Jumps_of_the_wall_clock_change_neither_leader_nor_lease()
    {
        var faults = await Preload.CreateAsync();
        var cluster = await ClusterWithFaultyLeaderAsync(faults);
        var leader = cluster[1];
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");

        foreach (var offset in (TimeSpan[])[Jump, -Jump, TimeSpan.Zero])
        {
            faults.SetWallClock(offset);
            await JumpedAsync(leader, offset);
            Assert.True(await leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));

            Assert.True(await cluster[2].PutAsync("jumped", $"{offset}"));
        }

        Assert.Equal(term, await leader.ScalarAsync<long>("SELECT pgraft_get_term()"));
        await LeaseIsNotProlongedAsync(cluster, faults);
    }

    [Theory]
    [InlineData(950)]
    [InlineData(1050)]
    public async Task A_clock_that_runs_wrong_by_a_twentieth_leaves_leases_exclusive(int permille)
    {
        var cluster = await ClusterWithFaultyLeaderAsync(await Preload.CreateAsync(permille));

        // First the member with the wrong clock is the one that loses, then one that votes.
        for (var round = 0; round < 2; round++)
        {
            var leader = await cluster.LeaderAsync();
            var (takeover, old, _) = await Takeover.OfFrozenWorkerAsync(cluster, leader);

            takeover.ComesAfter(old);
            Note($"node {leader.NodeId} of 3 frozen, node 1 at {permille} permille: "
                + $"{takeover.Claimed - old.LastTrue} between last and first claim");
            await cluster.AgreedStateAsync();
        }
    }

    // Shows that the wrong clock reaches the core, and that what the page on guarantees excludes is
    // rightly excluded: this clock runs at a quarter of its rate, so a lease lasts four times.
    [Fact]
    public async Task A_clock_far_beyond_the_margin_is_outside_the_guarantee()
    {
        var cluster = await ClusterWithFaultyLeaderAsync(await Preload.CreateAsync(250));

        var (takeover, old, _) = await Takeover.OfFrozenWorkerAsync(cluster, cluster[1]);

        Assert.True(old.LastTrue > takeover.Claimed, $"{old}; {takeover.Claimed:O}");
    }

    // Node 1 founds the cluster and so leads it.
    private async Task<TestCluster> ClusterWithFaultyLeaderAsync(Preload faults)
    {
        var cluster = await NewClusterAsync(3, Founding.AddNode, s =>
            s.BinDirectory = s.NodeId == 1 ? faults.BinDirectory : s.BinDirectory);
        Assert.True(await Preload.IsInAsync(cluster[1].WorkerPid));
        Assert.Equal(cluster[1], await cluster.LeaderAsync());
        return cluster;
    }

    private static async Task LeaseIsNotProlongedAsync(TestCluster cluster, Preload faults)
    {
        faults.SetWallClock(-Jump);
        await JumpedAsync(cluster[1], -Jump);
        var (takeover, old, frozenAt) =
            await Takeover.OfFrozenWorkerAsync(cluster, cluster[1]);

        // The old leader's times are an hour behind.
        var corrected = old with { LastTrue = old.LastTrue + Jump };
        takeover.ComesAfter(corrected);
        Assert.True(corrected.LastTrue <= frozenAt + Lease, $"{corrected}, frozen {frozenAt:O}");
    }

    private static async Task JumpedAsync(TestServer server, TimeSpan offset)
    {
        var shown = await server.ScalarAsync<DateTime>("SELECT clock_timestamp()");
        Assert.Equal(DateTime.UtcNow + offset, shown, TimeSpan.FromMinutes(1));
    }
}
