// The commands of the page on operations that are for a host's root (`sh host`): the firewall, a
// member that is cut off, one whose network is slow. Each server is on a host of its own.
//
// Threading: one test, with a cluster of its own. Failure: the servers' logs are shown; where
// network namespaces are not permitted the test is skipped.

using System.Globalization;
using System.Net.Sockets;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests.Docs;

public sealed class HostBlockTests : ServerTest
{
    private const int Size = 3;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task The_commands_for_a_hosts_root_do_what_the_page_says()
    {
        var blocks = new DocPage("docs/operations.md").Blocks
            .Where(b => b.Kind == "sh host").Select(b => b.Text).ToArray();
        Assert.Equal(5, blocks.Length);
        await using var network = await HostNetwork.CreateAsync(Size);
        await using var cluster = await HostCluster.StartAsync(network, Size);
        Watch(cluster);

        await FirewallAsync(network, cluster, blocks[0]);
        await CutAsync(network, cluster, cut: blocks[1], restore: blocks[2]);
        await SlowAsync(network, cluster, slow: blocks[3], restore: blocks[4]);
    }

    // Members reach one another over new connections; this machine, which is none, reaches nobody.
    private static async Task FirewallAsync(
        HostNetwork network, TestCluster cluster, string firewall)
    {
        Assert.True(await ReachesAsync(cluster[1]));
        foreach (var server in cluster.Servers)
        {
            var peers = cluster.Servers.Where(s => s != server).Select(s => s.Place.Address);
            await network.RunOnAsync(
                server.NodeId, $"PEERS='{string.Join(' ', peers)}'\n{firewall}");
        }

        foreach (var server in cluster.Servers)
        {
            Assert.False(await ReachesAsync(server));
        }

        await (await cluster.FollowerAsync()).RestartAsync();
        await cluster.LeaderAsync();
        foreach (var server in cluster.Servers)
        {
            Assert.True(await server.PutAsync($"through {server.NodeId}", "the firewall"));
        }
    }

    private static async Task CutAsync(
        HostNetwork network, TestCluster cluster, string cut, string restore)
    {
        var leader = await cluster.LeaderAsync();
        var others = cluster.Servers.Where(s => s != leader).ToArray();
        foreach (var other in others)
        {
            await network.RunOnAsync(leader.NodeId, $"OTHER={other.Place.Address}\n{cut}");
        }

        await TestCluster.FirstWriteAsync(others[0], "majority");
        Assert.False(await leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        foreach (var other in others)
        {
            await network.RunOnAsync(leader.NodeId, $"OTHER={other.Place.Address}\n{restore}");
        }

        await cluster.LeaderAsync();
        await cluster.AgreedStateAsync();
        Assert.Equal("written", await leader.GetAsync("majority"));
    }

    private static async Task SlowAsync(
        HostNetwork network, TestCluster cluster, string slow, string restore)
    {
        var follower = await cluster.FollowerAsync();
        var leader = await cluster.LeaderAsync();
        var device = $"DEVICE={HostNetwork.Device}\n";
        await network.RunOnAsync(follower.NodeId, device + slow);
        for (var i = 0; i < 100; i++)
        {
            Assert.True(await leader.PutAsync(
                i.ToString(CultureInfo.InvariantCulture), new string('x', 1000)));
        }

        await network.RunOnAsync(follower.NodeId, device + restore);
        await cluster.AgreedStateAsync();
    }

    private static async Task<bool> ReachesAsync(TestServer server)
    {
        using var client = new TcpClient();
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            await client.ConnectAsync(
                server.Place.Address,
                int.Parse(HostCluster.RaftPort, CultureInfo.InvariantCulture), limit.Token);
            return true;
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            return false;
        }
    }
}
