// Health and findings on real servers: what is said is true, of every member, also of one that is
// cut off, frozen or down; and what is measured is what was done to it.
//
// Threading: one test at a time, each with servers of its own.

using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using PgRaft.Chaos.Network;
using PgRaft.Cluster.Tests.Columns;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed partial class HealthTests : ServerTest
{
    private const string Health = "SELECT concat_ws('|', healthy, is_leader, leader_id, "
        + "coalesce(quorum::text, 'unknown'), coalesce(live_members::text, '-'), members, worker, "
        + "coalesce(lag::text, '-')) FROM pgraft.health";

    private const string Json = "SELECT concat_ws('|', h->>'healthy', h->>'is_leader', "
        + "h->>'leader_id', h->>'quorum', coalesce(h->>'live_members', '-'), h->>'worker', "
        + "coalesce(h->>'lag', '-')) FROM pgraft_health_check() h";

    [Fact]
    [ValuesOf(
        "pgraft.health", "healthy", "is_leader", "leader_id", "quorum", "live_members", "members",
        "worker")]
    [ValuesOf(
        "pgraft_health_check", "healthy", "is_leader", "leader_id", "quorum", "live_members",
        "worker")]
    public async Task Leader_and_followers_say_what_they_know()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        foreach (var server in cluster.Servers)
        {
            var isLeader = server == leader;
            var live = isLeader ? "3" : "-";
            await SaysAsync(
                server, Health,
                $"t|{(isLeader ? "t" : "f")}|{leader.NodeId}|true|{live}|3|RUNNING|0");
            await SaysAsync(
                server, Json,
                $"true|{(isLeader ? "true" : "false")}|{leader.NodeId}|true|{live}|RUNNING|0");
        }

        // Followers have not asked one another.
        var follower = await cluster.FollowerAsync();
        var other = cluster.Servers.First(s => s != leader && s != follower);
        var alive = "SELECT node_id, is_alive, version FROM pgraft.endpoint_health WHERE node_id "
            + $"IN ({leader.NodeId}, {other.NodeId}) ORDER BY node_id = {other.NodeId}";
        await Poll.UntilAsync(
            "a follower has heard its leader only",
            () => follower.RowsAsync(alive),
            rows => rows[0] == $"{leader.NodeId}|True|1.0"
                && rows[1].StartsWith($"{other.NodeId}||", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_leader_counts_who_answers_and_a_lonely_member_knows_that_it_is()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var others = cluster.Servers.Where(s => s != leader).ToArray();

        await others[0].KillAsync();
        await SaysAsync(leader, Health, $"t|t|{leader.NodeId}|true|2|3|RUNNING|0");
        var dead = Assert.Single(await leader.RowsAsync(
            "SELECT is_alive, last_error IS NOT NULL FROM pgraft.endpoint_health "
            + $"WHERE node_id = {others[0].NodeId}"));
        Assert.Equal("False|True", dead);

        await others[1].KillAsync();
        await SaysAsync(leader, Health, "f|f|0|false|1|3|RUNNING|-");
        await SaysAsync(leader, Json, "false|false|0|false|1|RUNNING|-");

        await others[0].StartAsync();
        await cluster.LeaderAsync();
        foreach (var server in cluster.Running())
        {
            await Poll.UntilAsync(
                "both are healthy",
                () => server.ScalarAsync<bool>("SELECT healthy AND quorum FROM pgraft.health"));
        }
    }

    // The claim of a follower rests on its leader, which steps down when it is cut off: two of five
    // do not go on saying that there is a majority.
    [Fact]
    public async Task A_follower_beside_a_leader_without_majority_does_not_say_yes_for_long()
    {
        var cluster = await NewClusterAsync(5, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var follower = await cluster.FollowerAsync();
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(cluster.Servers.Where(s => s != leader && s != follower)
            .Select(s => s.KillAsync()));
        var killed = clock.Elapsed;

        var said = await Poll.UntilAsync(
            "no majority any more",
            () => follower.ScalarAsync<bool>("SELECT quorum IS NOT TRUE FROM pgraft.health"),
            isOver => isOver);

        Note($"said no more {(clock.Elapsed - killed).TotalMilliseconds:F0} ms after the kill");
        Assert.True(said);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"after {clock.Elapsed}");
        await SaysAsync(follower, Health, "f|f|0|false|2|5|RUNNING|-");
    }

    [Fact]
    public async Task A_worker_that_is_frozen_or_down_is_an_answer_and_not_an_error()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var server = cluster[1];
        await SaysAsync(server, Health, "t|t|1|true|1|1|RUNNING|0");

        // A lonely voter's lease has no end, so it must be the worker's end that counts.
        ServerProcesses.Kill(server.WorkerPid);
        await Poll.UntilAsync("the server is back", () => server.ScalarAsync<bool>("SELECT true"));
        await SaysAsync(server, Health, "t|t|1|true|1|1|RUNNING|0");

        await server.StopAsync();
        server.Settings["pgraft.port"] = $"{server.Port}";
        await server.StartAsync();
        await SaysAsync(server, Health, "f|f|0|unknown|-|ERROR|-");
        await SaysAsync(server, Json, "false|false|0|unknown|-|ERROR|-");
        Assert.Equal("57P03", (await server.ErrorOfAsync("TABLE pgraft.endpoint_health")).SqlState);
        Assert.Equal(
            "ERROR|critical",
            Assert.Single(await server.RowsAsync(
                "SELECT value, severity FROM pgraft.settings_check WHERE name = 'worker'")));
        Assert.Empty(await server.RowsAsync(
            "SELECT name FROM pg_settings WHERE name LIKE 'pgraft.%' "
            + "EXCEPT SELECT name FROM pgraft.settings_check"));
    }

    [Fact]
    public async Task A_frozen_leader_says_at_once_that_it_does_not_know()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        await using var connection = await leader.OpenAsync();
        await using (await Freezer.ProcessesAsync(leader.WorkerPid))
        {
            await Poll.UntilAsync(
                "its lease has run out",
                async () => !await connection.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
            var clock = Stopwatch.StartNew();
            var said = await connection.ScalarAsync<string>(Health);
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(1), $"took {clock.Elapsed}");
            Assert.Equal("f|f|0|unknown|-|3|RUNNING|-", said);
        }
    }

    [Fact]
    [ValuesOf("pgraft.endpoint_health", "round_trip_us")]
    [ValuesOf("pgraft.settings_check", "name", "value", "severity", "finding", "advice")]
    public async Task A_long_way_to_a_member_is_measured_and_the_timeout_named()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var far = await cluster.AddServerAsync(2);
        await far.WaitForStateAsync("WAITING");
        var oneWay = TimeSpan.FromMilliseconds(30);
        await using var proxy = new DelayProxy(
            IPAddress.Loopback, new IPEndPoint(IPAddress.Loopback, far.RaftPort),
            new DelayRange(oneWay, oneWay));
        await cluster[1].ExecuteAsync(
            $"SELECT pgraft_add_node(2, '127.0.0.1', {proxy.Port})");

        var leader = cluster[1];
        const string Way = "SELECT round_trip_us FROM pgraft.endpoint_health WHERE node_id = 2";
        await Poll.UntilAsync(
            "the way is measured",
            () => leader.ScalarAsync<long>(Way), us => us is > 60_000 and < 200_000);
        for (var look = 0; look < 20; look++)
        {
            Assert.InRange(await leader.ScalarAsync<long>(Way), 60_000, long.MaxValue);
        }

        await Poll.UntilAsync(
            "the timeout is named",
            () => leader.RowsAsync(
                "SELECT severity, finding, advice FROM pgraft.settings_check "
                + "WHERE name = 'pgraft.election_timeout' AND finding LIKE 'short for%'"),
            rows => rows.Count == 1
                && ShortFor().Match(rows[0]) is { Success: true } match
                && double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
                    is > 60 and < 100
                && rows[0].Contains("Set it to 5000 ms", StringComparison.Ordinal));
        Assert.Equal(
            "2|warning|an even number tolerates no more failures than 1|Add or remove one.",
            Assert.Single(await leader.RowsAsync(
                "SELECT value, severity, finding, advice FROM pgraft.settings_check "
                + "WHERE name = 'members'")));

        // Who follows measures nothing, and says so.
        await Poll.UntilAsync(
            "the follower names the leader",
            () => far.RowsAsync(
                "SELECT value FROM pgraft.settings_check WHERE name = 'round trip to node 1'"),
            rows => rows is [""]);
    }

    [Fact]
    public async Task A_slow_disk_is_measured_and_named()
    {
        var faults = await Preload.CreateAsync();
        var cluster = await NewClusterAsync(
            1, Founding.AddNode, s => s.BinDirectory = faults.BinDirectory);
        var server = cluster[1];
        const string Sync = "SELECT concat_ws('|', value ~ '^[0-9.]+ ms$', severity) "
            + "FROM pgraft.settings_check WHERE name = 'sync of data_dir'";
        Assert.Equal("t", await server.ScalarAsync<string>(Sync));

        faults.SlowSyncs(TimeSpan.FromMilliseconds(40));
        await Poll.UntilAsync(
            "a slow disk is named",
            async () =>
            {
                await server.PutAsync("k", "v");
                return await server.ScalarAsync<string>(Sync);
            },
            said => said == "t|warning");
        faults.SlowSyncs(TimeSpan.FromMilliseconds(200));
        await Poll.UntilAsync(
            "a very slow disk is critical",
            async () =>
            {
                await server.PutAsync("k", "v");
                return await server.ScalarAsync<string>(Sync);
            },
            said => said == "t|critical");
    }

    [Fact]
    public async Task Where_a_server_listens_and_keeps_its_data_is_judged()
    {
        const string Findings = "SELECT concat_ws('|', name, severity) FROM pgraft.settings_check "
            + "WHERE finding IS NOT NULL AND name IN ('pgraft.data_dir', 'pgraft.tls_enabled', "
            + "'pgraft.election_timeout') ORDER BY name";
        var outside = await TestRun.NewDirectoryAsync("data");
        var server = await NewServerAsync();
        server.Settings["pgraft.listen_address"] = "'*'";
        server.Settings["pgraft.election_timeout"] = "500";
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        Assert.Equal(
            [
                "pgraft.data_dir|notice", "pgraft.election_timeout|warning",
                "pgraft.tls_enabled|warning",
            ],
            await server.RowsAsync(Findings));

        // A link out of the data directory leads outside.
        await server.StopAsync();
        Directory.Delete(server.PgraftDirectory, recursive: true);
        File.CreateSymbolicLink(server.PgraftDirectory, outside);
        server.Settings.Remove("pgraft.listen_address");
        server.Settings.Remove("pgraft.election_timeout");
        await server.StartAsync();
        await server.WaitForStateAsync("WAITING");
        Assert.Empty(await server.RowsAsync(Findings));

        await server.StopAsync();
        server.Settings["pgraft.data_dir"] = $"'{outside}'";
        await server.StartAsync();
        await server.WaitForStateAsync("WAITING");
        Assert.Empty(await server.RowsAsync(Findings));
    }

    private static Task<string> SaysAsync(TestServer server, string query, string answer)
    {
        return Poll.UntilAsync(
            $"node {server.NodeId} says {answer}", () => server.ScalarAsync<string>(query),
            said => said == answer);
    }

    [GeneratedRegex(@"^warning\|short for a latency of ([0-9.]+) ms to node 2\|")]
    private static partial Regex ShortFor();
}
