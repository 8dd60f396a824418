// The majority of a cluster is lost for ever, and one member goes on alone: what it has, when it is
// refused, and that those who come back after all cannot reach it.
//
// Threading: the tests run one after the other, each with a cluster of its own.

using Npgsql;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class LostMajorityTests : ServerTest
{
    private const string Recover = "SELECT pgraft_recover_cluster('test-cluster')";

    [Fact]
    public async Task A_survivor_goes_on_grows_again_and_is_not_disturbed_by_those_who_come_back()
    {
        var cluster = await NewClusterAsync(3, Founding.AddNode);
        await using var load = await WriteLoad.StartAsync(cluster.Servers);
        await load.StopAsync();
        await cluster.AgreedStateAsync();
        var survivor = await cluster.FollowerAsync();
        var lost = cluster.Servers.Where(s => s != survivor).ToArray();
        await Task.WhenAll(lost.Select(s => s.KillAsync()));
        await LeaderlessAsync(survivor);

        await RecoverAsync(survivor);

        Assert.Empty(await load.LostOnAsync(survivor, "linearizable"));
        Assert.Equal(
            [$"{survivor.NodeId}|True"],
            await survivor.RowsAsync("SELECT node_id, is_leader FROM pgraft_get_nodes()"));
        await GrowAsync(cluster, survivor);
        await ComeBackAsync(lost);
        await NotDisturbedAsync(cluster, survivor, lost);
    }

    [Fact]
    public async Task It_is_refused_while_there_is_a_leader_and_without_the_cluster_s_name()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        foreach (var server in cluster.Servers)
        {
            var error = await server.ErrorOfAsync(Recover);
            Assert.Equal("55000", error.SqlState);
            Assert.Contains("leads it", error.MessageText, StringComparison.Ordinal);
        }

        var misnamed = await cluster[1].ErrorOfAsync("SELECT pgraft_recover_cluster('cluster')");
        Assert.Equal("22023", misnamed.SqlState);
        Assert.Contains("test-cluster", misnamed.Detail, StringComparison.Ordinal);
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task Of_two_survivors_the_one_with_the_newer_log_goes_on()
    {
        var cluster = await NewClusterAsync(5, Founding.InitialCluster);
        var behind = await cluster.FollowerAsync();
        await behind.StopAsync();
        var leader = await cluster.LeaderAsync();
        Assert.True(await leader.PutAsync("missed", "by one"));
        await cluster.AgreedStateAsync();
        var ahead = cluster.Running().First(s => s != leader);
        var lost = cluster.Running().Where(s => s != ahead).ToArray();
        await Task.WhenAll(lost.Select(s => s.KillAsync()));
        await behind.StartAsync();
        await LeaderlessAsync(ahead);
        await LeaderlessAsync(behind);

        var error = await Poll.UntilAsync(
            "a refusal that is not about a connection being made",
            () => behind.ErrorOfAsync(Recover),
            e => e.MessageText.Contains("newer log", StringComparison.Ordinal));

        Assert.Equal("55000", error.SqlState);
        Assert.Contains($"node {ahead.NodeId}", error.MessageText, StringComparison.Ordinal);
        await RecoverAsync(ahead);
        Assert.Equal("by one", await ahead.GetAsync("missed"));
        Assert.Equal("57P03", (await behind.ErrorOfAsync(
            "SET pgraft.request_timeout = '1s'; SELECT pgraft_kv_put('k', 'v')")).SqlState);
    }

    private static async Task LeaderlessAsync(TestServer server)
    {
        await Poll.UntilAsync(
            $"node {server.NodeId} misses its leader", server.LeaderAsync, id => id == 0);
    }

    private static async Task RecoverAsync(TestServer server)
    {
        var warnings = new List<PostgresNotice>();
        await using var connection = await server.OpenAsync();
        connection.Notice += (_, e) => warnings.Add(e.Notice);
        await connection.ExecuteAsync("SET pgraft.request_timeout = '30s'");
        var last = await connection.ScalarAsync<long>("SELECT last_index FROM pgraft.log_stats");

        Assert.True(await connection.ScalarAsync<bool>(Recover));

        Assert.True(await connection.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        var warning = Assert.Single(warnings);
        Assert.Equal("WARNING", warning.InvariantSeverity);
        Assert.Contains(
            $"beyond log index {last} is lost", warning.MessageText, StringComparison.Ordinal);
        await server.WaitForLogAsync($"WARNING: .*node {server.NodeId} goes on alone");
    }

    private static async Task GrowAsync(TestCluster cluster, TestServer survivor)
    {
        for (var id = 4; id <= 5; id++)
        {
            var server = await cluster.AddServerAsync(id);
            await server.WaitForStateAsync("WAITING");
            Assert.True(await survivor.ScalarAsync<bool>(
                "SELECT pgraft_add_node($1, '127.0.0.1', $2)", id, server.RaftPort));
        }

        await cluster.AgreedStateAsync();
    }

    // They are a majority of what was. That they elect a leader is why they must never come back.
    private static async Task ComeBackAsync(TestServer[] lost)
    {
        await Task.WhenAll(lost.Select(s => s.StartAsync()));
        await Poll.UntilAsync(
            "the old members to elect one of themselves",
            async () => await lost[0].LeaderAsync(),
            id => lost.Any(s => s.NodeId == id));
    }

    private static async Task NotDisturbedAsync(
        TestCluster cluster, TestServer survivor, TestServer[] lost)
    {
        var term = await survivor.ScalarAsync<long>("SELECT pgraft_get_term()");
        await survivor.WaitForLogAsync("were founded as separate clusters");
        Assert.True(await cluster[4].PutAsync("only/here", "it"));
        Assert.True(await survivor.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        Assert.Equal(term, await survivor.ScalarAsync<long>("SELECT pgraft_get_term()"));
        Assert.Null(await lost[0].GetAsync("only/here"));
        Assert.Equal(
            3, (await survivor.RowsAsync("SELECT * FROM pgraft_get_nodes()")).Count);
    }
}
