// A disk that hangs: syncs do not return and report no error. The member must not lead on, for
// nothing it proposes can be committed, and must hold nobody up; when its disk is back, so is it.
//
// Threading: one test at a time. The syncs are held by a library that is preloaded into the server.

using System.Diagnostics;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class HungDiskTests : ServerTest
{
    private const int SomeWrites = 100;
    private const int DiskStandsStill = 113;

    // Two election timeouts of a second until it gives up, up to two until another stands, and what
    // a busy machine adds.
    private static readonly TimeSpan TakeoverLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_leader_whose_disk_hangs_is_replaced_and_comes_back()
    {
        var preload = await Preload.CreateAsync();
        var cluster = await ClusterWithPreloadAsync(preload);
        var leader = cluster[1];
        Assert.Equal(leader, await cluster.LeaderAsync());
        var worker = leader.WorkerPid;
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");
        await using var load = await WriteLoad.StartAsync(cluster.Servers);
        var sampling = await LeadershipSampler.StartAsync(leader);

        preload.HangSyncs(true);
        var takeover = await Takeover.AwaitAsync(cluster, leader, Stopwatch.StartNew());
        await GoesOnAsync(load);
        takeover.ComesAfter(await sampling);
        Note($"another leader after {takeover.Took}");
        Assert.True(takeover.Took < TakeoverLimit, $"{takeover.Took}");
        Assert.False(await leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));

        preload.HangSyncs(false);
        await load.StopAsync();
        await cluster.AgreedStateAsync();
        Assert.Empty(await load.LostOnAsync(leader, "local"));
        Assert.Equal(worker, leader.WorkerPid);
        await leader.WaitForLogAsync("has not finished a write");
        var said = Assert.Single(LogEvents.Of(leader), e => e.Id == DiskStandsStill);
        Assert.Equal("WARNING", said.Level);
        Assert.Matches(
            "^raft: the disk of node 1 has not finished a write for [0-9]+ ms: leadership of term "
            + $"{term} is given up$",
            said.Text);
    }

    [Fact]
    public async Task A_follower_whose_disk_hangs_holds_nobody_up()
    {
        var preload = await Preload.CreateAsync();
        var cluster = await ClusterWithPreloadAsync(preload);
        if (await cluster.LeaderAsync() == cluster[1])
        {
            await cluster[1].RestartAsync();
            await Poll.UntilAsync(
                "another leader", async () => await cluster[1].LeaderAsync() is not (0 or 1));
        }

        var term = await cluster[2].ScalarAsync<long>("SELECT pgraft_get_term()");
        await using var load = await WriteLoad.StartAsync([cluster[2], cluster[3]]);
        preload.HangSyncs(true);
        await GoesOnAsync(load);
        await GoesOnAsync(load);

        preload.HangSyncs(false);
        await load.StopAsync();
        await cluster.AgreedStateAsync();
        Assert.Empty(await load.LostOnAsync(cluster[1], "local"));
        Assert.Equal(term, await cluster[2].ScalarAsync<long>("SELECT pgraft_get_term()"));
    }

    private static Task GoesOnAsync(WriteLoad load)
    {
        var before = load.Acknowledged;
        return Poll.UntilAsync(
            "writes go on", () => load.Acknowledged > before + SomeWrites, Patience);
    }

    // Node 1 has it.
    private Task<TestCluster> ClusterWithPreloadAsync(Preload preload)
    {
        return NewClusterAsync(3, Founding.AddNode, s =>
            s.BinDirectory = s.NodeId == 1 ? preload.BinDirectory : s.BinDirectory);
    }
}
