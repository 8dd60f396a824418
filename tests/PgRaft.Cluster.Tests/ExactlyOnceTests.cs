// Writes take effect once and are answered truly, whatever befalls the leader meanwhile: killed,
// frozen, or a client that does not wait for it.
//
// Threading: the tests share one cluster and run one after the other.

using System.Diagnostics;
using System.Globalization;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class ExactlyOnceTests : ServerTest, IClassFixture<SharedCluster>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TestCluster _cluster;

    public ExactlyOnceTests(SharedCluster shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    [Fact]
    public async Task
        A_counter_kept_by_compare_and_set_counts_every_success_once_while_leaders_are_killed()
    {
        // Of its own: the counter's revision is its value, as nothing else is written.
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        await using var load = new CounterLoad(cluster.Servers, "counter");
        for (var round = 0; round < 3; round++)
        {
            var leader = await cluster.LeaderAsync(Patience);
            await CountsOnAsync(load);
            await leader.KillAsync();
            await CountsOnAsync(load);
            await leader.StartAsync();
        }

        await load.StopAsync();
        await cluster.LeaderAsync(Patience);
        Note($"{load.Succeeded} counted, {load.Undone} not, {load.Unknown} unknown");
        Assert.InRange(
            int.Parse((await cluster[1].GetAsync("counter"))!, CultureInfo.InvariantCulture),
            load.Succeeded,
            load.Succeeded + load.Unknown);

        // From a server that is killed its clients hear nothing; from the others the truth.
        Assert.Equal(0, load.UnknownAtSurvivors);
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task A_write_through_a_follower_is_not_lost_on_a_frozen_leader()
    {
        var leader = await _cluster.LeaderAsync();
        var follower = await _cluster.FollowerAsync();
        await using var connection = await follower.OpenAsync();
        await connection.ExecuteAsync("SET pgraft.request_timeout = '50s'");
        await using (await Freezer.ProcessesAsync(leader.WorkerPid))
        {
            Assert.NotEqual(0, await connection.ScalarAsync<long>(
                "SELECT pgraft_kv_cas('frozen', 0, 'v')"));
        }

        await _cluster.LeaderAsync();
        await _cluster.AgreedStateAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_write_that_waits_for_a_frozen_worker_can_be_left(bool isForwarded)
    {
        var leader = await _cluster.LeaderAsync();
        var follower = await _cluster.FollowerAsync();
        var frozen = isForwarded ? leader : follower;
        await using var connection = await follower.OpenAsync();
        await connection.ExecuteAsync("SELECT pgraft_kv_put('left', 'before')");
        await connection.ExecuteAsync("SET statement_timeout = '300ms'");
        await using (await Freezer.ProcessesAsync(frozen.WorkerPid))
        {
            var clock = Stopwatch.StartNew();
            var error = await Assert.ThrowsAsync<PostgresException>(
                () => connection.ExecuteAsync("SELECT pgraft_kv_put('left', 'after')"));
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(2), $"{clock.Elapsed}");
            Assert.Equal("57014", error.SqlState);
            Assert.Contains("its outcome is unknown", error.Where, StringComparison.Ordinal);
            Assert.Equal(1, await connection.ScalarAsync<int>("SELECT 1"));
        }

        await connection.ExecuteAsync("SET statement_timeout = 0");
        await _cluster.LeaderAsync();
        Assert.True(await connection.ScalarAsync<bool>("SELECT pgraft_kv_put('left', 'again')"));
        Assert.Equal("again", await connection.ScalarAsync<string>("SELECT pgraft_kv_get('left')"));
    }

    private static Task CountsOnAsync(CounterLoad load)
    {
        var before = load.Succeeded;
        return Poll.UntilAsync(
            "the counter rises", () => load.Succeeded > before + 20, Patience);
    }
}
