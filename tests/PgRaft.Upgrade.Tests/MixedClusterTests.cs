// One member of this release and two of the next, on real servers: everything a cluster does works,
// whoever leads, and nothing is written that the older member cannot read.
//
// Threading: one test at a time. Failure: the servers' logs are shown.

using System.Globalization;
using System.Text.RegularExpressions;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Upgrade.Tests;

public sealed class MixedClusterTests : ServerTest
{
    private const int Old = 1;

    [Fact]
    public async Task One_old_member_and_two_new_ones_elect_replicate_and_fail_over()
    {
        var cluster = await MixedAsync();

        // Each of the three in turn is the leader that is killed.
        for (var round = 1; round <= 3; round++)
        {
            var leader = await cluster.LeaderAsync();
            await AssertHeardAsync(leader);
            foreach (var server in cluster.Servers)
            {
                Assert.True(await server.PutAsync($"{round}/{server.NodeId}", "written"));
            }

            await leader.KillAsync();
            await cluster.LeaderAsync();
            await TestCluster.FirstWriteAsync(cluster.Running().First(), $"{round}/failover");
            await leader.StartAsync();
            await cluster.LeaderAsync();
        }

        await cluster.AgreedStateAsync();
        Assert.Equal("written", await cluster[Old].GetAsync("1/3", "local"));
        Assert.Equal("written", await cluster[Old].GetAsync("3/failover", "local"));
    }

    // Both ways: the new leader's snapshot is read by the old member, and the other way round.
    [Theory]
    [InlineData(Old)]
    [InlineData(3)]
    public async Task A_snapshot_is_taken_over_from_a_leader_of_another_release(int absentee)
    {
        var cluster = await MixedAsync(s =>
        {
            s.Settings["pgraft.snapshot_interval"] = "100";
            s.Settings["pgraft.max_log_entries"] = "0";
        });
        var away = cluster[absentee];
        await away.StopAsync();
        var leader = await LedByAsync(cluster, absentee == Old ? 2 : Old);

        // Whole segments are dropped: these fill more than one.
        await leader.ExecuteAsync(
            "SELECT count(*) FROM generate_series(1, 250) i, "
            + "LATERAL pgraft_kv_put('k' || i, repeat('x', 100000))");
        await Poll.UntilAsync(
            "the log no longer begins at the start",
            async () => await leader.ScalarAsync<long>(
                "SELECT first_index FROM pgraft.log_stats") > 100);
        await away.StartAsync();
        await cluster.AgreedStateAsync();

        Assert.Matches("installed the leader's snapshot", away.Log());
    }

    // What the leader writes says what the older member reads, until that one is gone.
    [Fact]
    public async Task Nothing_is_written_that_the_old_member_cannot_read()
    {
        var cluster = await MixedAsync();
        var leader = await LedByAsync(cluster, 2);
        await FoundAsync(
            leader, "data version", "2|notice|older than this node could write: node 1: reads 2");
        await leader.PutAsync("while", "mixed");
        await cluster.AgreedStateAsync();

        // There is still a way back: nothing of the next release is in the log.
        await MoveAsync(cluster[3], Releases.Now);
        await cluster.AgreedStateAsync();
        await MoveAsync(cluster[3], Releases.Next);
        await MoveAsync(cluster[Old], Releases.Next);
        leader = await cluster.LeaderAsync();
        await FoundAsync(leader, "data version", "3||");
        await leader.PutAsync("when", "all are new");
        await cluster.AgreedStateAsync();

        // And now there is none.
        var back = cluster[3];
        await back.StopAsync();
        back.BinDirectory = Releases.Now;
        await back.StartAsync();
        await back.WaitForStateAsync("ERROR");
        Assert.Matches(
            "log entry \\d+ has version 3, but this pgraft reads no newer one than 2", back.Log());
        await MoveAsync(back, Releases.Next);
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task An_old_server_is_not_added_to_a_cluster_whose_data_it_cannot_read()
    {
        var cluster = await NewClusterAsync(
            1, Founding.AddNode, s => s.BinDirectory = Releases.Next);
        await cluster[1].PutAsync("new", "data");
        var old = await cluster.AddServerAsync(2);
        await old.WaitForStateAsync("WAITING");

        var error = await cluster[1].ErrorOfAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"SET pgraft.request_timeout = '3s'; "
                + $"SELECT pgraft_add_node(2, '127.0.0.1', {old.RaftPort})"));

        Assert.Equal("55000", error.SqlState);
        const string Why = "node 2 \\(pgraft 1.0\\) reads data up to version 2, "
            + "but node 1 \\(pgraft 1.1\\) has version 3";
        Assert.Matches(Why, error.Detail);
        Assert.Matches($"node 1 is refused, calling from .*{Why}", old.Log());
        Assert.Equal(1L, await cluster[1].ScalarAsync<long>("SELECT count(*) FROM pgraft.nodes"));
    }

    [Fact]
    public async Task A_member_that_is_too_new_is_refused_with_both_versions_and_said_once()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var stray = cluster[3];
        await stray.StopAsync();
        stray.BinDirectory = await Releases.AfterNextAsync();
        await stray.StartAsync();
        var leader = cluster[(int)await Poll.UntilAsync(
            "a leader of the others", cluster[1].LeaderAsync, id => id is 1 or 2)];

        await leader.WaitForLogAsync(
            $"connection to node 3 .* failed: node 3 refused the connection: node {leader.NodeId} "
            + @"\(pgraft 1.0\) speaks peer protocol 1, but node 3 \(pgraft 1.1\) speaks 2");
        await leader.WaitForLogAsync(
            @"node 3 is refused, calling from .*: node 3 \(pgraft 1.1\) speaks peer protocol 2, "
            + $@"but node {leader.NodeId} \(pgraft 1.0\) speaks 1");
        Assert.True(await leader.PutAsync("goes on", "without it"));
        Assert.Contains(
            "1.1|critical|node 3 and this node cannot work together",
            await FindingsAsync(leader, "versions"));
        await Poll.UntilAsync(
            "it knows that it is alone",
            () => stray.ScalarAsync<string>(
                "SELECT concat_ws('|', h->>'healthy', h->>'quorum') FROM pgraft_health_check() h"),
            answer => answer == "false|false");

        // It knocks all the time; more writes pass than a line each would leave unseen.
        await using (var load = await WriteLoad.StartAsync([leader], atLeast: 1000))
        {
            await load.StopAsync();
        }

        foreach (var server in new[] { cluster[1], cluster[2] })
        {
            Assert.InRange(
                Regex.Count(server.Log(), "node 3 is refused, calling from"), 0, 1);
            Assert.InRange(
                Regex.Count(server.Log(), "connection to node 3 .* failed: .*protocol"), 0, 1);
        }

        await MoveAsync(stray, Releases.Next);
        await cluster.AgreedStateAsync();
        await leader.WaitForLogAsync("connection to node 3 at .* restored");
    }

    private async Task<TestCluster> MixedAsync(Action<TestServer>? configure = null)
    {
        return await NewClusterAsync(3, Founding.InitialCluster, server =>
        {
            server.BinDirectory = server.NodeId == Old ? Releases.Now : Releases.Next;
            configure?.Invoke(server);
        });
    }

    private static async Task MoveAsync(TestServer server, string release)
    {
        await server.StopAsync();
        server.BinDirectory = release;
        await server.StartAsync();
        await server.WaitForStateAsync("RUNNING");
    }

    // What the leader has heard of the members' versions is what they are.
    private static async Task AssertHeardAsync(TestServer leader)
    {
        await Poll.UntilAsync(
            "the leader has heard both others",
            () => leader.RowsAsync(
                "SELECT node_id, is_alive, version, protocol, data_version "
                + "FROM pgraft.endpoint_health ORDER BY node_id"),
            rows => rows.SequenceEqual(Enumerable.Range(1, 3).Select(id => Heard(leader, id))));
    }

    private static string Heard(TestServer leader, int id)
    {
        var isOld = id == Old;
        var protocol = isOld || (leader.NodeId == Old && id != leader.NodeId) ? 1 : 2;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{id}|True|{(isOld ? Releases.NowVersion : Releases.NextVersion)}|{protocol}|"
                + $"{(isOld ? 2 : 3)}");
    }

    private static Task<IReadOnlyList<string>> FindingsAsync(TestServer server, string name)
    {
        return server.RowsAsync(
            $"SELECT value, severity, finding FROM pgraft.settings_check WHERE name = '{name}'");
    }

    private static Task<IReadOnlyList<string>> FoundAsync(
        TestServer server, string name, string row)
    {
        return Poll.UntilAsync(
            $"{name}: {row}", () => FindingsAsync(server, name),
            rows => rows.SequenceEqual([row]));
    }

    // Leaders are made by stopping the others.
    private static async Task<TestServer> LedByAsync(TestCluster cluster, int nodeId)
    {
        await Poll.UntilAsync(
            $"node {nodeId} leads",
            async () =>
            {
                var leader = await cluster.LeaderAsync();
                if (leader.NodeId != nodeId)
                {
                    await leader.RestartAsync();
                }

                return leader.NodeId == nodeId;
            },
            TimeSpan.FromSeconds(60));
        return cluster[nodeId];
    }
}
