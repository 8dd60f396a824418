// The status page of what is not well, in a real browser: proposals that were refused or whose
// outcome nobody knows, a member that is left alone, one that is far behind, a worker that cannot
// start, a node that has no cluster, a disk that is too slow.
//
// Threading: one test at a time, each with servers of its own. Failure: the page as it was.

using System.Globalization;
using System.Text.RegularExpressions;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed partial class StatusPageSickTests : StatusPageTest
{
    private const string Unknown = "not known here";
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    // Each number is another, so that none can be shown in the place of another one. Writers give
    // up long before the leader does, whose proposals they are.
    [Fact]
    public async Task Proposals_that_were_refused_or_are_of_unknown_outcome_are_counted_as_such()
    {
        const int Applied = 7;
        const int Refused = 5;
        const int Unsure = 3;
        var cluster = await ClusterAsync(
            3, configure: s => s.Settings["pgraft.election_timeout"] = "8000");
        var leader = await cluster.LeaderAsync(TimeSpan.FromSeconds(60));
        await leader.PutAsync("first", "");
        await using var browser = await BrowserAsync(leader);
        var before = ProposedIn(await PageView.UntilAsync(
            browser.Page, "an answer", v => v.Served.Length > 0));

        await PutAsync(leader, 1, Applied, 10);
        for (var i = 0; i < Refused; i++)
        {
            var refused = await leader.ErrorOfAsync(
                "SELECT pgraft_log_append(pgraft_get_term() + 1, 'early')");
            Assert.Equal("40001", refused.SqlState);
        }

        var followers = cluster.Servers.Where(s => s != leader).Select(s => s.WorkerPid);
        await using (await Freezer.ProcessesAsync([.. followers]))
        {
            var puts = await Task.WhenAll(Enumerable.Range(0, Unsure).Select(
                i => leader.ErrorOfAsync(
                    $"SET pgraft.request_timeout = '500ms'; SELECT pgraft_kv_put('u{i}', 'v')")));
            Assert.All(puts, error => Assert.Equal("40003", error.SqlState));
        }

        var (applied, refusals, unsure) =
            (before.Applied + Applied, before.Refused + Refused, before.Unsure + Unsure);
        await PageView.UntilAsync(
            browser.Page, "what became of each",
            v => ProposedIn(v) == (applied, refusals, unsure));
        Assert.Equal((0, 0), (before.Refused, before.Unsure));
        var metrics = await Http.GetStringAsync(
            new Uri(UrlOf(leader) + "metrics"), TestContext.Current.CancellationToken);
        Assert.All(
            new (string Outcome, long Count)[]
            {
                ("applied", applied), ("refused", refusals), ("unknown", unsure),
            },
            p => Assert.Contains(
                FormattableString.Invariant(
                    $"\npgraft_proposals_total{{outcome=\"{p.Outcome}\"}} {p.Count}\n"),
                metrics, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_member_that_is_left_alone_is_not_well_until_the_others_are_back()
    {
        var cluster = await ClusterAsync(3);
        var leader = await cluster.LeaderAsync();
        var server = await cluster.FollowerAsync();
        await using var browser = await BrowserAsync(server);
        var well = await PageView.UntilAsync(
            browser.Page, "that it is well",
            v => v.Verdict == $"Well: this node follows node {leader.NodeId}");
        Assert.Equal(("good", "yes"), (well.VerdictKind, well.Node["Majority there"]));
        Assert.Equal(("none", "none"), (well.Log["Snapshot at"], well.Log["Snapshot"]));
        Assert.False(Directory.EnumerateFiles(server.PgraftDirectory, "snapshot-*.snap").Any());

        var others = cluster.Servers.Where(s => s != server).ToArray();
        await Task.WhenAll(others.Select(s => s.KillAsync()));
        string[] names =
            ["Leader", "Majority there", "Members that answer", "May act as leader"];
        var alone = await PageView.UntilAsync(
            browser.Page, "that it is alone",
            v => PageView.Fields(v.Node, names).SequenceEqual(["none known", "no", "1", "no"])
                && v.Members.Count(m => m["Role"] == "not reachable") == 2);

        Assert.Matches(
            "^Not well: this node (knows no leader|stands for election)$", alone.Verdict);
        Assert.Equal("bad", alone.VerdictKind);
        Assert.Equal(["bad", "bad", "", "bad"], PageView.Fields(alone.NodeKinds, names));
        Assert.EndsWith("; none is known here.", alone.Note, StringComparison.Ordinal);
        Assert.Equal("none known", alone.History[0]["Leader"]);
        foreach (var other in others)
        {
            Assert.Equal("no", alone.Member(other.NodeId)["Answers"]);
        }

        Assert.Equal(
            "False|0|False|1|False",
            Assert.Single(await server.RowsAsync(
                "SELECT healthy, leader_id, quorum, live_members, may_act FROM pgraft.health")));

        await Task.WhenAll(others.Select(s => s.StartAsync()));
        leader = await cluster.LeaderAsync();
        var back = await PageView.UntilAsync(
            browser.Page, "that it is well again",
            v => PageView.Fields(v.Node, names[..2]).SequenceEqual(
                [$"node {leader.NodeId}", "yes"]));
        Assert.StartsWith("Well: this node ", back.Verdict, StringComparison.Ordinal);
        Assert.Equal("good", back.VerdictKind);
    }

    [Fact]
    public async Task A_lag_of_more_than_a_thousand_entries_is_a_warning()
    {
        const int MostWithoutWarning = 1000;
        var cluster = await ClusterAsync(3);
        var leader = await cluster.LeaderAsync();
        var behind = await cluster.FollowerAsync();
        await cluster.AgreedStateAsync();
        await using var browser = await BrowserAsync(leader);
        await PageView.UntilAsync(
            browser.Page, "all caught up",
            v => v.Members.Count(m => m["Lag"] == "0") == 2);

        await behind.KillAsync();
        await PutAsync(leader, 1, MostWithoutWarning, 1);
        await LagIsAsync(browser, behind, $"{MostWithoutWarning}", "");
        await leader.PutAsync("one", "more");
        await LagIsAsync(browser, behind, $"{MostWithoutWarning + 1}", "warn");
        Assert.Equal(
            $"{MostWithoutWarning + 1}",
            Assert.Single(await leader.RowsAsync(
                $"SELECT lag FROM pgraft.replication WHERE node_id = {behind.NodeId}")));
    }

    // From a start that hangs to a disk that is too slow for its election timeout.
    [Fact]
    public async Task A_node_says_what_it_has_not_and_what_is_critical()
    {
        var disk = await Preload.CreateAsync();
        var server = await NewServerAsync(binDirectory: disk.BinDirectory);
        Serve(server);
        disk.HangSyncs(true);
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        await using var browser = await BrowserAsync(server);
        await SaysAsync(browser, "STARTING", Unknown, "starting");
        await SaysInSqlAsync(server, "STARTING|-");

        disk.HangSyncs(false);
        var waiting = await SaysAsync(browser, "WAITING", "no", "waiting");
        await SaysInSqlAsync(server, "WAITING|false");
        Assert.Equal(("waiting", "none known", "0"), (
            waiting.Node["Role"], waiting.Node["Leader"], waiting.Node["Keys"]));
        Assert.Equal(("none", "none"), (waiting.Log["Snapshot at"], waiting.Log["Snapshot"]));
        Assert.Empty(waiting.Members);
        var notice = Array.FindIndex(waiting.Findings, f => f.StartsWith(
            "notice members: this node belongs to no cluster yet.", StringComparison.Ordinal));
        Assert.Equal("warn", waiting.FindingKinds[notice]);

        Assert.True(await server.ScalarAsync<bool>("SELECT pgraft_init()"));
        disk.SlowSyncs(TimeSpan.FromMilliseconds(200));
        var slow = await Poll.UntilAsync(
            "the page shows a critical finding",
            async () =>
            {
                await server.PutAsync("k", "v");
                return await PageView.OfAsync(browser.Page);
            },
            v => v.Findings.Any(f => f.StartsWith(
                "critical sync of data_dir: a sync takes more than a tenth of the election "
                    + "timeout", StringComparison.Ordinal)),
            TimeSpan.FromSeconds(40));
        var critical = Array.FindIndex(
            slow.Findings, f => f.StartsWith("critical ", StringComparison.Ordinal));
        Assert.Equal("bad", slow.FindingKinds[critical]);
        Assert.Equal("Well: this node leads and holds the lease", slow.Verdict);
    }

    private static (long Applied, long Refused, long Unsure) ProposedIn(PageView view)
    {
        var numbers = Proposed().Match(view.Proposed).Groups.Values.Skip(1)
            .Select(g => long.Parse(g.Value, CultureInfo.InvariantCulture)).ToArray();
        return (numbers[0], numbers[1], numbers[2]);
    }

    private static Task<PageView> LagIsAsync(
        Browser browser, TestServer member, string lag, string kind) => PageView.UntilAsync(
        browser.Page, $"a lag of {lag} that is marked \"{kind}\"",
        v => v.Member(member.NodeId)["Lag"] == lag
            && v.MemberKinds[Array.IndexOf(v.Members, v.Member(member.NodeId))]["Lag"] == kind);

    private static async Task<PageView> SaysAsync(
        Browser browser, string worker, string mayAct, string state)
    {
        var view = await PageView.UntilAsync(
            browser.Page, $"a worker that is {worker}",
            v => v.Node.GetValueOrDefault("Worker") == worker);
        Assert.Equal(("bad", $"Not well: the worker is {state}"), (view.VerdictKind, view.Verdict));
        Assert.Equal(
            [Unknown, Unknown, mayAct],
            PageView.Fields(
                view.Node, "Majority there", "Members that answer", "May act as leader"));
        Assert.Equal(
            ["dim", "dim", mayAct == Unknown ? "dim" : "bad"],
            PageView.Fields(
                view.NodeKinds, "Majority there", "Members that answer", "May act as leader"));
        return view;
    }

    private static async Task SaysInSqlAsync(TestServer server, string workerAndMayAct) =>
        Assert.Equal(
            workerAndMayAct,
            await server.ScalarAsync<string>(
                "SELECT concat_ws('|', worker, coalesce(may_act::text, '-')) FROM pgraft.health"));

    [GeneratedRegex("^Since the worker started: ([0-9]+) applied, ([0-9]+) refused, "
        + "([0-9]+) of unknown outcome\\.$")]
    private static partial Regex Proposed();
}
