// Durability: servers that end in every way while clients write. Afterwards every acknowledged
// write is on every member, and all members are in the same state.

using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class CrashTests : ServerTest, IClassFixture<SharedCluster>
{
    private readonly TestCluster _cluster;

    public CrashTests(SharedCluster shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    [Fact]
    public async Task Killing_everything_at_once_under_load_loses_no_acknowledged_write()
    {
        await using var load = await WriteLoad.StartAsync(_cluster.Servers, atLeast: 300);

        await Task.WhenAll(_cluster.Servers.Select(s => s.KillAsync()));
        await load.StopAsync();
        await Task.WhenAll(_cluster.Servers.Select(s => s.StartAsync()));

        await NothingIsLostAsync(load);
    }

    [Theory]
    [InlineData("immediate")]
    [InlineData("fast")]
    public async Task Stopping_the_leader_under_load_loses_no_acknowledged_write(string mode)
    {
        var leader = await _cluster.LeaderAsync();
        await using var load = await WriteLoad.StartAsync(_cluster.Servers);

        await leader.StopAsync(mode);
        var before = load.Acknowledged;
        await Poll.UntilAsync(
            "writes go on without the old leader", () => load.Acknowledged > before + 50);
        await leader.StartAsync();
        await load.StopAsync();

        await NothingIsLostAsync(load);
    }

    [Theory]
    [InlineData("immediate")]
    [InlineData("fast")]
    public async Task Stopping_everything_under_load_loses_no_acknowledged_write(string mode)
    {
        await using var load = await WriteLoad.StartAsync(_cluster.Servers);

        await Task.WhenAll(_cluster.Servers.Select(s => s.StopAsync(mode)));
        await load.StopAsync();
        Assert.All(_cluster.Servers, server => Assert.DoesNotContain(
            "the core did not stop", server.Log(), StringComparison.Ordinal));
        await Task.WhenAll(_cluster.Servers.Select(s => s.StartAsync()));

        await NothingIsLostAsync(load);
    }

    private async Task NothingIsLostAsync(WriteLoad load)
    {
        await _cluster.LeaderAsync();
        Assert.Empty(await load.LostOnAsync(_cluster[1], "linearizable"));
        await _cluster.AgreedStateAsync();
        foreach (var server in _cluster.Servers)
        {
            Assert.Empty(await load.LostOnAsync(server, "local"));
        }
    }
}
