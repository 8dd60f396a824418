// A hot standby as a member: pgraft's functions work on it, and a clone of a member's data
// directory is not mistaken for the member.

using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class StandbyTests : ServerTest
{
    [Fact]
    public async Task A_standby_is_a_member_like_any_other()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var primary = cluster[1];
        await primary.PutAsync("on/primary", "written");
        var standby = await CloneAsync(cluster, primary, nodeId: 2);
        standby.Settings["pgraft.data_dir"] = "'pgraft-2'";
        await standby.StartAsync();
        Assert.True(await standby.ScalarAsync<bool>("SELECT pg_is_in_recovery()"));
        await standby.WaitForStateAsync("WAITING");

        Assert.True(await primary.ScalarAsync<bool>(
            "SELECT pgraft_add_node(2, '127.0.0.1', $1)", standby.RaftPort));

        Assert.Equal("written", await standby.GetAsync("on/primary"));
        Assert.True(await standby.PutAsync("on/standby", "written"));
        Assert.Equal("written", await primary.GetAsync("on/standby"));
        Assert.True(await standby.ScalarAsync<bool>("SELECT pgraft_test()"));
        Assert.Equal(2, (await standby.RowsAsync("SELECT * FROM pgraft_get_nodes()")).Count);
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task A_cloned_data_dir_with_another_node_id_is_refused()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var clone = await CloneAsync(cluster, cluster[1], nodeId: 2);

        await clone.StartAsync();

        await clone.WaitForStateAsync("ERROR");
        await clone.WaitForLogAsync("(ERROR|FATAL|WARNING|LOG): .*node");
        Assert.Equal("ERROR", await clone.WorkerStateAsync());
        Assert.Equal(0, await clone.LeaderAsync());
        var error = await clone.ErrorOfAsync("SELECT pgraft_kv_put('k', 'v')");
        Assert.Contains(error.SqlState, (string[])["57P03", "55000", "40001"]);
        Assert.True(await cluster[1].PutAsync("the/original", "is unharmed"));
    }

    private static async Task<TestServer> CloneAsync(
        TestCluster cluster, TestServer primary, int nodeId)
    {
        var standby = await TestServer.CreateEmptyAsync(nodeId);
        cluster.Adopt(standby);
        var connection = $"host=127.0.0.1 port={primary.Port} user={TestRun.SuperUser}";
        await Command.RunPostgresAsync(
            "pg_basebackup", "-d", connection, "-D", standby.DataDirectory, "-c", "fast");
        await File.WriteAllTextAsync(Path.Combine(standby.DataDirectory, "standby.signal"), "");
        standby.Settings["primary_conninfo"] = $"'{connection}'";
        return standby;
    }
}
