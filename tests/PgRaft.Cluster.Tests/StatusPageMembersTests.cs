// Members and findings on the status page, in a real browser: each is what was done to the member,
// and what SQL says of it.
//
// Threading: one test at a time, each with a cluster of its own. Failure: the page as it was.

using System.Net;
using PgRaft.Chaos.Network;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class StatusPageMembersTests : StatusPageTest
{
    private const int Puts = 7;

    // How far a busy machine may be behind with what a test has seen.
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(5);

    // One member is far away, one dies and comes back, one joins.
    [Fact]
    [FiguresOf(
        "members", "Node", "Address", "Role", "Answers", "Lag", "Last contact", "Round trip",
        "Replication", "Version")]
    public async Task Members_are_shown_as_they_are()
    {
        var cluster = await ClusterAsync(1, Founding.AddNode, Patient);
        var leader = cluster[1];
        var near = await AddAsync(cluster, 2, TimeSpan.Zero);
        await AddAsync(cluster, 3, TimeSpan.FromMilliseconds(40));
        await leader.PutAsync("k", "v");

        await using var browser = await BrowserAsync(leader);
        var view = await PageView.UntilAsync(
            browser.Page, "all caught up",
            v => v.Members.Length == 3 && v.Members.Skip(1).All(IsCaughtUp));
        await IsAsInSqlAsync(leader, view);
        Assert.Equal(await VersionsAsync(cluster), view.Members.Select(m => m["Version"]));
        Assert.Equal(
            ["1 (this)", "leader", "yes", "–", "–", "–", "–"],
            PageView.Fields(
                view.Member(1), "Node", "Role", "Answers", "Lag", "Last contact", "Round trip",
                "Replication"));

        // There and back.
        Assert.InRange(PageView.MillisecondsOf(view.Member(3)["Round trip"]), 80, 3000);
        Assert.InRange(
            PageView.MillisecondsOf(view.Member(2)["Round trip"]),
            0, PageView.MillisecondsOf(view.Member(3)["Round trip"]));

        await DiesAndComesBackAsync(browser, leader, near);
        await JoinsAsync(browser, cluster);
    }

    // Several of each kind: of settings, of what waits for a restart, of what was measured.
    [Fact]
    public async Task The_findings_are_those_of_settings_check()
    {
        var cluster = await ClusterAsync(1, Founding.AddNode, server =>
        {
            server.Settings["pgraft.listen_address"] = "'*'";
            server.Settings["pgraft.election_timeout"] = "2500";
            server.Settings["pgraft.heartbeat_interval"] = "300";
        });
        var leader = cluster[1];
        await AddAsync(cluster, 2, TimeSpan.FromMilliseconds(40));
        leader.Settings["pgraft.heartbeat_interval"] = "250";
        await leader.ReloadAsync();

        await using var browser = await BrowserAsync(leader);
        var view = await SameAsInSqlAsync(browser, leader, "pgraft.heartbeat_interval");
        Assert.All(
            (string[])
            [
                "warning members: an even number tolerates no more failures than 1. Add or ",
                "warning pgraft.election_timeout: less than 10 times \"pgraft.heartbeat_interval\" "
                    + "(300 ms): ",
                "warning pgraft.election_timeout: short for a latency of ",
                "notice pgraft.data_dir: inside the data directory",
                "warning pgraft.tls_enabled: members speak to one another over a network without",
                "warning pgraft.heartbeat_interval: waits for a restart: ",
            ],
            start => Assert.Single(
                view.Findings, f => f.StartsWith(start, StringComparison.Ordinal)));

        // What was mended by a reload goes, in both.
        leader.Settings["pgraft.heartbeat_interval"] = "300";
        await leader.ReloadAsync();
        await PageView.UntilAsync(
            browser.Page, "a finding less",
            v => !v.Findings.Any(f => f.Contains("waits for a restart", StringComparison.Ordinal)));
        await SameAsInSqlAsync(browser, leader);
    }

    // A dead worker is no reason to be silent about settings, and judges them no differently.
    [Fact]
    public async Task Findings_on_settings_are_the_same_without_a_worker()
    {
        const string OfSettings = "SELECT name, severity, finding, advice "
            + "FROM pgraft.settings_check WHERE severity IS NOT NULL AND name LIKE 'pgraft.%' "
            + "ORDER BY name, finding";
        var server = await NewServerAsync();
        server.Settings["pgraft.listen_address"] = "'*'";
        server.Settings["pgraft.election_timeout"] = "500";
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        await server.WaitForStateAsync("WAITING");
        server.Settings["pgraft.cluster_id"] = "'another'";
        await server.ReloadAsync();
        var alive = await Poll.UntilAsync(
            "four findings", () => server.RowsAsync(OfSettings), rows => rows.Count == 4);

        await server.StopAsync();
        server.Settings["pgraft.cluster_id"] = "'test-cluster'";
        server.Settings["pgraft.port"] = $"{server.Port}";
        await server.StartAsync();
        await server.WaitForStateAsync("ERROR");
        server.Settings["pgraft.cluster_id"] = "'another'";
        await server.ReloadAsync();

        await Poll.UntilAsync(
            "the same findings", () => server.RowsAsync(OfSettings),
            rows => rows.SequenceEqual(alive));
        Assert.Contains(
            alive, row => row.StartsWith(
                "pgraft.cluster_id|warning|waits for a restart", StringComparison.Ordinal));
    }

    private static void Patient(TestServer server)
    {
        server.Settings["pgraft.election_timeout"] = "3000";
        server.Settings["pgraft.heartbeat_interval"] = "200";
    }

    private async Task<TestServer> AddAsync(TestCluster cluster, int nodeId, TimeSpan oneWay)
    {
        var joiner = await cluster.AddServerAsync(nodeId, server =>
        {
            Serve(server);
            foreach (var name in (string[])
                ["pgraft.election_timeout", "pgraft.heartbeat_interval"])
            {
                server.Settings[name] = cluster[1].Settings[name];
            }
        });
        await joiner.WaitForStateAsync("WAITING");
        var port = oneWay == TimeSpan.Zero ? joiner.RaftPort : LongWay(joiner, oneWay);
        Assert.True(await cluster[1].ScalarAsync<bool>(
            "SELECT pgraft_add_node($1, '127.0.0.1', $2)", nodeId, port));
        await joiner.WaitForStateAsync("RUNNING");
        return joiner;
    }

    private int LongWay(TestServer server, TimeSpan oneWay)
    {
        var proxy = new DelayProxy(
            IPAddress.Loopback, new IPEndPoint(IPAddress.Loopback, server.RaftPort),
            new DelayRange(oneWay, oneWay));
        Own(proxy);
        return proxy.Port;
    }

    private static bool IsCaughtUp(Dictionary<string, string> member) =>
        PageView.Fields(member, "Role", "Answers", "Lag", "Replication")
            .SequenceEqual(["follower", "yes", "0", "replicate"]);

    private static async Task IsAsInSqlAsync(TestServer leader, PageView view)
    {
        Assert.Equal(
            await leader.RowsAsync(
                "SELECT address || ':' || port FROM pgraft.nodes ORDER BY node_id"),
            view.Members.Select(m => m["Address"]));
        Assert.Equal(
            await leader.RowsAsync(
                "SELECT node_id, CASE WHEN is_alive THEN 'yes' END, version "
                + "FROM pgraft.endpoint_health WHERE node_id <> 1 ORDER BY node_id"),
            view.Members.Skip(1).Select(
                m => string.Join('|', PageView.Fields(m, "Node", "Answers", "Version"))));
        Assert.Equal(
            await leader.RowsAsync(
                "SELECT node_id, state, lag FROM pgraft.replication ORDER BY node_id"),
            view.Members.Skip(1).Select(
                m => string.Join('|', PageView.Fields(m, "Node", "Replication", "Lag"))));
    }

    private static async Task<string[]> VersionsAsync(TestCluster cluster)
    {
        return await Task.WhenAll(cluster.Servers.OrderBy(s => s.NodeId).Select(
            s => s.ScalarAsync<string>("SELECT pgraft_get_version()")));
    }

    private static async Task DiesAndComesBackAsync(
        Browser browser, TestServer leader, TestServer other)
    {
        var killing = DateTimeOffset.UtcNow;
        await other.KillAsync();
        var dead = DateTimeOffset.UtcNow;
        for (var i = 0; i < Puts; i++)
        {
            await leader.PutAsync("k", "v");
        }

        var down = await PageView.UntilAsync(
            browser.Page, "a dead member",
            v => PageView.Fields(v.Member(other.NodeId), "Role", "Answers", "Lag", "Replication")
                .SequenceEqual(["not reachable", "no", $"{Puts}", "unreachable"]));
        Assert.Equal("2", down.Node["Members that answer"]);
        Assert.Equal("1.0", down.Member(other.NodeId)["Version"]);

        // It was heard last when it was killed, however late it is.
        var heard = HeardAt(down, other);
        Assert.InRange(heard, killing - Slack, dead + TimeSpan.FromMilliseconds(50));
        var later = await PageView.UntilAsync(
            browser.Page, "a later answer", v => v.Served.Length >= down.Served.Length + 2);
        Assert.InRange(
            HeardAt(later, other) - heard,
            TimeSpan.FromMilliseconds(-50), TimeSpan.FromMilliseconds(50));
        Assert.Equal("no", later.Member(other.NodeId)["Answers"]);

        await other.StartAsync();
        await PageView.UntilAsync(
            browser.Page, "that it is back", v => IsCaughtUp(v.Member(other.NodeId))
                && HeardAt(v, other) > dead && v.Node["Members that answer"] == "3");
    }

    // By the leader's clock, which is this machine's.
    private static DateTimeOffset HeardAt(PageView view, TestServer member)
    {
        var answer = view.Served[^1];
        var ms = answer.GetProperty("members").EnumerateArray()
            .Single(m => m.GetProperty("node_id").GetInt32() == member.NodeId)
            .GetProperty("last_contact_ms").GetDouble();
        var shown = PageView.MillisecondsOf(view.Member(member.NodeId)["Last contact"]);
        Assert.Equal(ms, shown, ms < 10_000 ? 0.5 : 500);
        return answer.GetProperty("time").GetDateTimeOffset() - TimeSpan.FromMilliseconds(ms);
    }

    // So far away that the page sees it on its way.
    private async Task JoinsAsync(Browser browser, TestCluster cluster)
    {
        var oneWay = TimeSpan.FromMilliseconds(800);
        var joining = AddAsync(cluster, 4, oneWay);
        var view = await PageView.UntilAsync(
            browser.Page, "a node that joins",
            v => v.Members.Any(m => m["Node"] == "4 (joining)"
                && m["Role"] == "catching up" && m["Replication"] == "catching up"));
        Assert.Equal(4, view.Members.Length);
        await joining;
        var member = await PageView.UntilAsync(
            browser.Page, "a fourth member",
            v => v.Members.Length == 4 && v.Member(4)["Node"] == "4");
        Assert.Equal(
            await cluster[1].RowsAsync(
                "SELECT address || ':' || port FROM pgraft.nodes WHERE node_id = 4"),
            [view.Member(4)["Address"]]);
        Assert.Equal(view.Member(4)["Address"], member.Member(4)["Address"]);
    }

    // Both are asked until they agree: some findings name what was measured a moment ago.
    private static async Task<PageView> SameAsInSqlAsync(
        Browser browser, TestServer server, string? named = null)
    {
        var inSql = Array.Empty<string>();
        return await Poll.UntilAsync(
            "the page's findings are those of settings_check",
            async () =>
            {
                inSql =
                [
                    .. (await server.RowsAsync(
                        "SELECT format('%s %s: %s. %s', severity, name, finding, advice) "
                        + "FROM pgraft.settings_check WHERE severity IS NOT NULL"))
                        .Order(StringComparer.Ordinal),
                ];
                return await PageView.OfAsync(browser.Page);
            },
            view => view.Findings.Order(StringComparer.Ordinal).SequenceEqual(inSql)
                && (named is null
                    || inSql.Any(f => f.Contains(named, StringComparison.Ordinal))),
            TimeSpan.FromSeconds(40));
    }
}
