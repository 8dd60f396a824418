// Both ways to found a cluster, on three real servers.
//
// Failure: a founding that does not finish in time fails with the servers' logs.

using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class FoundingTests : ServerTest
{
    [Theory]
    [InlineData(Founding.AddNode)]
    [InlineData(Founding.InitialCluster)]
    public async Task Every_member_knows_the_same_configuration_and_leader(Founding founding)
    {
        var cluster = await NewClusterAsync(3, founding);
        var leader = await cluster.LeaderAsync();
        var wanted = cluster.Servers.Select(
            s => $"{s.NodeId}|127.0.0.1|{s.RaftPort}|{s == leader}").ToArray();

        foreach (var server in cluster.Servers)
        {
            await Poll.UntilAsync(
                $"the configuration on node {server.NodeId}",
                () => server.RowsAsync("SELECT * FROM pgraft_get_nodes() ORDER BY node_id"),
                rows => rows.SequenceEqual(wanted));
            Assert.Equal(
                server == leader, await server.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
            Assert.Equal(
                3,
                await server.ScalarAsync<int>("SELECT num_nodes FROM pgraft_get_cluster_status()"));
            Assert.Equal(server == leader ? "leader" : "follower", await server.RoleAsync());
        }
    }

    [Fact]
    public async Task A_founded_cluster_takes_writes_anywhere_and_survives_a_restart_of_all()
    {
        var cluster = await NewClusterAsync(3, Founding.AddNode);
        foreach (var server in cluster.Servers)
        {
            Assert.True(await server.PutAsync($"from/{server.NodeId}", $"value {server.NodeId}"));
        }

        await Task.WhenAll(cluster.Servers.Select(s => s.StopAsync()));
        await Task.WhenAll(cluster.Servers.Select(s => s.StartAsync()));

        await cluster.LeaderAsync();
        foreach (var reader in cluster.Servers)
        {
            foreach (var writer in cluster.Servers)
            {
                Assert.Equal(
                    $"value {writer.NodeId}", await reader.GetAsync($"from/{writer.NodeId}"));
            }
        }
    }

    // Its owner may pass the directory above, but not read it.
    [Fact]
    public async Task A_data_directory_below_one_that_cannot_be_read()
    {
        Assert.SkipUnless(TestRun.IsRoot, "needs root to make a directory that is another's");
        var above = await TestRun.NewDirectoryAsync("above");
        var below = Path.Combine(above, "data");
        Directory.CreateDirectory(below);
        await Command.RunAsync("chown", TestRun.ServerUser, below);
        await Command.RunAsync("chown", "root", above);
        await Command.RunAsync("chmod", "0711", above);
        var server = await NewServerAsync();
        server.Settings["pgraft.data_dir"] = $"'{below}'";

        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        await server.WaitForStateAsync("WAITING");

        Assert.True(await server.ScalarAsync<bool>("SELECT pgraft_init()"));
    }

    [Fact]
    public async Task Before_founding_a_node_waits_and_says_so()
    {
        var cluster = await NewClusterAsync(1, Founding.None);
        var server = cluster[1];
        await server.WaitForStateAsync("WAITING");

        Assert.Equal(0, await server.LeaderAsync());
        Assert.False(await server.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        Assert.Equal("waiting", await server.RoleAsync());
        foreach (var call in (string[])
            ["pgraft_kv_put('k', 'v')", "pgraft_kv_get('k')", "pgraft_remove_node(2)",
             "pgraft_add_node(2, '127.0.0.1', 7002)", "pgraft_replicate_entry('x')",
             "pgraft_log_sync_with_leader()"])
        {
            var error = await server.ErrorOfAsync($"SELECT {call}");
            Assert.Equal("55000", error.SqlState);
            Assert.StartsWith("pgraft: ", error.MessageText, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_cluster_is_founded_once()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);

        var error = await cluster[1].ErrorOfAsync("SELECT pgraft_init()");

        Assert.Equal("55000", error.SqlState);
        Assert.True(await cluster[1].ScalarAsync<bool>("SELECT pgraft_is_leader()"));
    }
}
