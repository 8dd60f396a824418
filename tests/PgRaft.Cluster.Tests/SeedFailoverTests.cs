// The three failover tests of the operations guide ("Test Failover Scenarios"), its commands as
// written. Each server is on a host of its own: a network namespace.
//
// The guide's third test says "slow disk", and its command is tc, which throttles networks: `dev
// sda` has to be a network device. Here it is one, the follower's; so the command runs as written,
// and what it makes slow is everything the follower says.
//
// Threading: the tests run one after the other, each with a cluster of its own.

using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class SeedFailoverTests : ServerTest
{
    private const int Size = 3;
    private const int ManyWrites = 200;

    [Fact]
    public async Task Leader_failure()
    {
        await using var network = await HostNetwork.CreateAsync(Size);
        await using var cluster = await ClusterAsync(network);
        var leader = await cluster.LeaderAsync();
        var follower = cluster.Servers.First(s => s != leader);
        await leader.PutAsync("before", "kept");

        // pg_ctl stop -D /data/leader -m immediate
        await leader.StopAsync("immediate");

        // psql -h follower1 -c "SELECT pgraft_get_leader();"
        await Poll.UntilAsync(
            "another leader, as psql shows it",
            () => PsqlAsync(follower, "SELECT pgraft_get_leader();"),
            shown => int.Parse(shown) is var id && id > 0 && id != leader.NodeId);
        await TestCluster.FirstWriteAsync(follower, "after");

        // pg_ctl start -D /data/leader
        await leader.StartAsync();

        await cluster.LeaderAsync();
        await cluster.AgreedStateAsync();
        Assert.Equal("kept", await leader.GetAsync("before"));
        Assert.Equal("written", await leader.GetAsync("after"));
    }

    // On the leader's host, against one follower, then on the same host against both: it is then
    // the minority.
    [Fact]
    public async Task Network_partition()
    {
        await using var network = await HostNetwork.CreateAsync(Size);
        await using var cluster = await ClusterAsync(network);
        var leader = await cluster.LeaderAsync();
        var others = cluster.Servers.Where(s => s != leader).ToArray();

        await network.RunOnAsync(leader.NodeId, CutFrom(others[0]));
        Assert.True(await leader.PutAsync("cut from one", "goes on"));
        await network.RunOnAsync(leader.NodeId, CutFrom(others[1]));
        await TestCluster.FirstWriteAsync(others[0], "majority");
        Assert.NotEqual(leader.NodeId, await others[1].LeaderAsync());
        await Poll.UntilAsync(
            "the minority's leader gives up",
            async () => !await leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        var refused = await leader.ErrorOfAsync(
            "SET pgraft.request_timeout = '2s'; SELECT pgraft_kv_put('minority', 'refused')");
        Assert.Contains(refused.SqlState, (string[])["57P03", "40003", "40001"]);

        await network.RunOnAsync(leader.NodeId, Restore(others[0]) + Restore(others[1]));
        await cluster.LeaderAsync();
        await cluster.AgreedStateAsync();
        Assert.Equal("written", await leader.GetAsync("majority"));
        Assert.Equal("goes on", await others[1].GetAsync("cut from one"));
    }

    [Fact]
    public async Task Slow_follower()
    {
        await using var network = await HostNetwork.CreateAsync(Size);
        await using var cluster = await ClusterAsync(network);
        var leader = await cluster.LeaderAsync();
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");
        var follower = cluster.Servers.First(s => s != leader);

        await network.RunOnAsync(
            follower.NodeId,
            "tc qdisc add dev sda root tbf rate 1mbit burst 32kbit latency 400ms");

        // Verify leader continues operating
        await using (var puts = new TimedPuts(leader, writers: 4))
        {
            await puts.UntilAsync(ManyWrites);
            Note($"with a slow follower: {puts.Take()}");
        }

        Assert.True(await leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        Assert.Equal(term, await leader.ScalarAsync<long>("SELECT pgraft_get_term()"));

        await network.RunOnAsync(follower.NodeId, "tc qdisc del dev sda root");
        await cluster.AgreedStateAsync();
    }

    private static string CutFrom(TestServer node2)
    {
        var address = node2.Place.Address;
        return $"""
            iptables -A INPUT -s {address} -j DROP
            iptables -A OUTPUT -d {address} -j DROP

            """;
    }

    private static string Restore(TestServer node2)
    {
        var address = node2.Place.Address;
        return $"""
            iptables -D INPUT -s {address} -j DROP
            iptables -D OUTPUT -d {address} -j DROP

            """;
    }

    private static async Task<string> PsqlAsync(TestServer server, string query)
    {
        var shown = await Command.TryRunPostgresAsync(
            TestRun.BinDirectory, "psql", "-h", server.Place.Address, "-p", $"{server.Port}",
            "-U", TestRun.SuperUser, "-d", "postgres", "-Atc", query);
        return shown.Status == 0 ? shown.Output.Trim() : "0";
    }

    private async Task<TestCluster> ClusterAsync(HostNetwork network)
    {
        var cluster = await HostCluster.StartAsync(network, Size);
        Watch(cluster);
        return cluster;
    }
}
