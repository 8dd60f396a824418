// The operations guide's complete production example, "repeated for nodes 2, 3, 4, 5": five servers
// with its settings as they stand there, each on a host of its own with the example's address,
// ports and directory. A host is a network namespace, and a mount namespace in which
// /var/lib/postgresql is that host's.
//
// What the example leaves open is set here: listen_addresses, the socket's directory, pg_hba.conf.
//
// Threading: one test, with a cluster of its own. Failure: the servers' logs are shown.

using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class ProductionExampleTests : ServerTest
{
    private const int Size = 5;

    [Fact]
    public async Task Five_servers_with_the_settings_of_the_example_form_a_cluster()
    {
        Assert.SkipUnless(
            Directory.Exists(ServerPlace.HomeSeen), $"there is no {ServerPlace.HomeSeen}");
        await using var network = await HostNetwork.CreateAsync(Size, ProductionExample.Subnet);
        await using var cluster = await StartAsync(network);
        await FoundAsync(cluster);
        foreach (var server in cluster.Servers)
        {
            await IsAsTheExampleSaysAsync(server);
            Assert.True(await server.PutAsync($"through {server.NodeId}", "written"));
        }

        var leader = await cluster.LeaderAsync();
        Assert.Contains("200 OK", await AskAsync(network, leader, "/leader"));
        Assert.Contains("pgraft_members 5", await AskAsync(network, leader, "/metrics"));

        await leader.KillAsync();
        var survivor = cluster.Running().First();
        await TestCluster.FirstWriteAsync(survivor, "after the leader");

        await leader.StartAsync();
        await cluster.LeaderAsync();
        await cluster.AgreedStateAsync();
        foreach (var key in cluster.Servers.Select(s => $"through {s.NodeId}"))
        {
            Assert.Equal("written", await leader.GetAsync(key));
        }

        Assert.Equal("written", await leader.GetAsync("after the leader"));
    }

    private async Task<TestCluster> StartAsync(HostNetwork network)
    {
        var cluster = new TestCluster();
        Watch(cluster);
        for (var id = 1; id <= Size; id++)
        {
            var home = await TestRun.NewDirectoryAsync("home");
            var server = await TestServer.CreateAsync(
                id, place: network.PlaceOf(id) with { Home = home });
            cluster.Adopt(server);
            server.Settings.Remove("fsync");
            server.Take(ProductionExample.SettingsOf(id));
            await File.AppendAllTextAsync(
                Path.Combine(server.DataDirectory, "pg_hba.conf"), "host all all samenet trust\n");
        }

        await Task.WhenAll(cluster.Servers.Select(s => s.StartAsync()));
        await Task.WhenAll(
            cluster.Servers.Select(s => s.ExecuteAsync("CREATE EXTENSION pgraft")));
        return cluster;
    }

    // As the guide adds nodes: on the leader, one at a time.
    private static async Task FoundAsync(TestCluster cluster)
    {
        foreach (var server in cluster.Servers)
        {
            await server.WaitForStateAsync("WAITING");
        }

        var first = cluster[1];
        Assert.True(await first.ScalarAsync<bool>("SELECT pgraft_init()"));
        for (var id = 2; id <= Size; id++)
        {
            Assert.True(await first.ScalarAsync<bool>(string.Create(
                CultureInfo.InvariantCulture,
                $"SELECT pgraft_add_node({id}, '{ProductionExample.AddressOf(id)}', "
                    + $"{ProductionExample.PortOf(id)})")));
        }

        await Task.WhenAll(cluster.Servers.Select(s => s.WaitForStateAsync("RUNNING")));
    }

    // Every setting has the example's value, every member is where the example puts it, and there
    // is nothing to mend but what 1.0 does not have.
    private static async Task IsAsTheExampleSaysAsync(TestServer server)
    {
        var applied = await server.RowsAsync(
            "SELECT name, setting FROM pg_file_settings WHERE applied AND error IS NULL");
        Assert.All(
            ProductionExample.SettingsOf(server.NodeId),
            wanted => Assert.Contains($"{wanted.Key}|{wanted.Value.Trim('\'')}", applied));
        await Poll.UntilAsync(
            $"node {server.NodeId} knows all",
            () => server.RowsAsync(
                "SELECT node_id, address, port FROM pgraft.nodes ORDER BY node_id"),
            rows => rows.SequenceEqual(Enumerable.Range(1, Size).Select(id => string.Create(
                CultureInfo.InvariantCulture,
                $"{id}|{ProductionExample.AddressOf(id)}|{ProductionExample.PortOf(id)}"))));
        Assert.DoesNotContain(
            "critical",
            await server.RowsAsync(
                "SELECT severity FROM pgraft.settings_check WHERE severity IS NOT NULL"));
        Assert.Equal(
            ["pgraft.tls_enabled"],
            await server.RowsAsync(
                "SELECT name FROM pgraft.settings_check WHERE severity IS NOT NULL "
                + "AND name NOT IN ('sync of data_dir', 'pgraft.election_timeout')"));
    }

    // HTTP where the example has it: port 9100 of the host's own loopback.
    private static Task<string> AskAsync(HostNetwork network, TestServer server, string path)
    {
        return network.RunOnAsync(
            server.NodeId,
            "bash -c 'exec 3<>/dev/tcp/127.0.0.1/9100; "
                + $"printf \"GET {path} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n\" "
                + ">&3; cat <&3'");
    }
}
