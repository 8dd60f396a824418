// A disk that reports an error when it is told to sync. What it has kept is then unknown, so the
// process must never acknowledge anything again; a new one starts from what the disk has.
//
// Threading: one test at a time. The error comes from a library that is preloaded into the server.

using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class SyncFailureTests : ServerTest
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task After_a_failed_sync_nothing_is_acknowledged_and_nothing_was_lost()
    {
        var faults = await Preload.CreateAsync();
        var cluster = await NewClusterAsync(
            1, Founding.AddNode, s => s.BinDirectory = faults.BinDirectory);
        var server = cluster[1];
        var worker = server.WorkerPid;
        await using var load = await WriteLoad.StartAsync([server]);

        faults.FailSyncs(true);

        // What begins from here on would need a sync that works.
        await NotAcknowledgedAsync(server);
        await server.WaitForLogAsync("pgraft: .*(Input/output error)");
        await Poll.UntilAsync("the worker has ended", () => server.WorkerPid != worker);
        var acknowledged = load.Acknowledged;
        await NotAcknowledgedAsync(server);
        Assert.Equal(acknowledged, load.Acknowledged);

        faults.FailSyncs(false);
        await server.ReloadAsync();
        await Poll.UntilAsync(
            "writes go on", () => load.Acknowledged > acknowledged, Patience);
        await load.StopAsync();
        Assert.Empty(await load.LostOnAsync(server, "linearizable"));
    }

    [Fact]
    public async Task A_leader_whose_syncs_fail_is_replaced_and_comes_back_when_they_work()
    {
        var faults = await Preload.CreateAsync();
        var cluster = await NewClusterAsync(3, Founding.AddNode, s =>
            s.BinDirectory = s.NodeId == 1 ? faults.BinDirectory : s.BinDirectory);
        Assert.Equal(cluster[1], await cluster.LeaderAsync());
        await using var survivor = await cluster[1].OpenAsync();
        var started = await survivor.ServerStartAsync();
        await using var load = await WriteLoad.StartAsync(cluster.Servers);

        faults.FailSyncs(true);
        await cluster[1].WaitForStateAsync("ERROR");
        var before = load.Acknowledged;
        await Poll.UntilAsync(
            "writes go on at the others", () => load.Acknowledged > before + 100, Patience);
        Assert.NotEqual(1, await cluster[2].LeaderAsync());

        faults.FailSyncs(false);
        await cluster[1].WaitForStateAsync("RUNNING", Patience);
        await load.StopAsync();
        await cluster.AgreedStateAsync();
        Assert.Empty(await load.LostOnAsync(cluster[1], "local"));
        Assert.Equal(started, await survivor.ServerStartAsync());
    }

    private static async Task NotAcknowledgedAsync(TestServer server)
    {
        var error = await server.ErrorOfAsync(
            "SET pgraft.request_timeout = '2s'; SELECT pgraft_kv_put('after', 'the failure')");
        Assert.Contains(
            error.SqlState, (string[])["58030", "40003", "57P03", "40001", "55000"]);
    }
}
