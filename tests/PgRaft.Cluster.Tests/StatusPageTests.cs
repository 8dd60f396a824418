// The status page in a real browser (chromium, headless): each field of the node, its log and its
// history is what was done to the cluster, and what SQL says of it. Members and findings are
// StatusPageMembersTests', how the page goes on by itself StatusPageLiveTests', how it is read
// without eyes, without a mouse and on a phone StatusPageAccessTests', how it shows a cluster that
// is not well StatusPageSickTests'. That no field is without a test is StatusPageFiguresTests'.
//
// Threading: one test at a time, each with a cluster of its own. Failure: the page as it was.

using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class StatusPageTests : StatusPageTest
{
    private const string Iso = "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'";

    private const int KeyBytes = 7;
    private const int ValueBytes = 30;

    // 43 keys; twelve of them were large at first, so that the log is more than one file; seven are
    // put again, and three after the snapshot.
    [Fact]
    [FiguresOf(
        "node", "Worker", "Role", "Term", "Leader", "Majority there", "Members that answer",
        "May act as leader", "Since", "Worker started", "Version", "Elections started here", "Keys",
        "Revision", "Stored")]
    [FiguresOf(
        "log", "First index", "Last index", "Committed", "Applied", "Snapshot at", "Snapshot",
        "On disk")]
    public async Task What_is_stored_and_logged_is_what_was_put()
    {
        var begin = DateTimeOffset.UtcNow;
        var cluster = await ClusterAsync(
            3, configure: s => s.Settings["pgraft.max_log_entries"] = "10");
        var leader = await cluster.LeaderAsync();
        var up = DateTimeOffset.UtcNow;
        await PutAsync(leader, 1, 12, 1_500_000);
        await PutAsync(leader, 1, 40, ValueBytes);
        await PutAsync(leader, 1, 7, ValueBytes);
        await cluster.AgreedStateAsync();
        foreach (var server in cluster.Servers)
        {
            Assert.True(await server.ScalarAsync<long>("SELECT pgraft_snapshot()") >= 59);
        }

        await PutAsync(leader, 41, 43, ValueBytes);
        await cluster.AgreedStateAsync();

        var revision = 62;
        foreach (var server in new[] { leader, await cluster.FollowerAsync() })
        {
            await using var browser = await BrowserAsync(server);
            var view = await PageView.UntilAsync(
                browser.Page, "all keys",
                v => v.Node.GetValueOrDefault("Revision") == $"{revision}");

            Assert.Equal(("43", "1.6 kB"), (view.Node["Keys"], view.Node["Stored"]));
            Assert.Equal(
                43 * (KeyBytes + ValueBytes),
                view.Served[^1].GetProperty("kv").GetProperty("bytes").GetInt64());
            await IsAsInSqlAsync(server, view);
            Assert.InRange(DateTimeOffset.Parse(
                view.Node["Worker started"], CultureInfo.InvariantCulture), begin, up);
            Assert.Equal(
                server == leader
                    ? "Well: this node leads and holds the lease"
                    : $"Well: this node follows node {leader.NodeId}",
                view.Verdict);
            Assert.All(browser.Requests, r => Assert.StartsWith(
                UrlOf(server), r, StringComparison.Ordinal));

            // Live: no reload.
            await leader.PutAsync("one more", "");
            await leader.ScalarAsync<bool>("SELECT pgraft_kv_delete('one more')");
            revision += 2;
            await PageView.UntilAsync(
                browser.Page, "two revisions more", v => v.Node["Revision"] == $"{revision}");
        }
    }

    [Fact]
    [FiguresOf("history", "Time", "Role", "Term", "Leader", "Cause")]
    public async Task The_history_is_the_failover_that_was()
    {
        var cluster = await ClusterAsync(3);
        var first = await cluster.LeaderAsync();
        var before = DateTimeOffset.UtcNow;
        await first.KillAsync();
        var second = await cluster.LeaderAsync();
        var after = DateTimeOffset.UtcNow;

        await using var browser = await BrowserAsync(second);
        var view = await PageView.UntilAsync(browser.Page, "a history", v => v.History.Length > 1);

        Assert.Equal(
            await second.RowsAsync(
                $"SELECT to_char(to_timestamp(at / 1000.0) AT TIME ZONE 'UTC', {Iso}), role, term, "
                + "CASE leader WHEN 0 THEN 'none known' ELSE 'node ' || leader END, cause "
                + "FROM pgraft.get_leadership_changes() WITH ORDINALITY "
                + "AS c(at, role, term, leader, cause, n) ORDER BY n DESC"),
            view.History.Select(row => string.Join('|', row.Values)));
        var won = view.History[0];
        Assert.Equal(
            ("leader", view.Node["Term"], $"node {second.NodeId}", "this node won the election"),
            (won["Role"], won["Term"], won["Leader"], won["Cause"]));
        Assert.InRange(
            DateTimeOffset.Parse(won["Time"], CultureInfo.InvariantCulture),
            before.AddMilliseconds(-1), after);
        Assert.Equal(won["Time"], view.Node["Since"]);

        // It hands over, and knows that it did.
        var third = cluster.Running().First(s => s != second);
        Assert.True(await second.ScalarAsync<bool>(
            "SELECT pgraft_transfer_leadership($1)", third.NodeId));
        await PageView.UntilAsync(
            browser.Page, "the transfer",
            v => v.History.Any(row => (row["Role"], row["Cause"])
                == ("follower", "this node gave up leadership to hand it over")));

        // Of its predecessor it had heard, and then no more.
        Assert.Contains(view.History, row => row["Leader"] == $"node {first.NodeId}");
        Assert.Equal("the node started", view.History[^1]["Cause"]);
    }

    // The times of the rows, and of the answer that the page shows, are what the band is made of.
    [Fact]
    public async Task The_band_is_as_long_as_each_led()
    {
        var cluster = await ClusterAsync(3);
        var first = await cluster.LeaderAsync();
        await first.KillAsync();
        var second = await cluster.LeaderAsync();
        await using var browser = await BrowserAsync(second);
        var view = await PageView.UntilAsync(
            browser.Page, "who led", v => v.Node.Count > 0 && v.Node["Role"] == "leader");

        var parts = PartsOf(view, second.NodeId);
        var all = parts.Sum(p => p.Ms);
        var (without, run, longest) = (0.0, 0.0, 0.0);
        foreach (var part in parts)
        {
            run = part.Kind == "none" ? run + part.Ms : 0;
            without += part.Kind == "none" ? part.Ms : 0;
            longest = Math.Max(longest, run);
        }

        Assert.Equal(
            parts.Select(p => $"{p.Name}, {Span(p.Ms)}|{p.Kind}|{(p.Ms * 8 < all ? "" : p.Name)}"),
            view.Led);
        Assert.Equal(
            $"Who led, as far as this node knew, for {Span(all)} until now: nobody for "
            + $"{Span(without)}, at most {Span(longest)} at a time.",
            view.LedText);
        Assert.Contains(parts, p => p.Kind == "own");
        Assert.Contains(
            parts, p => p.Name.StartsWith($"node {first.NodeId},", StringComparison.Ordinal));

        // Two pixels at least, so that no election is too short to be seen.
        var width = view.LedWidths.Sum();
        Assert.All(
            parts.Zip(view.LedWidths),
            p => Assert.InRange(p.Second, 2, Math.Max(2, p.First.Ms / all * width) + 0.1));
    }

    // Only the leader measures how far the others are.
    [Fact]
    public async Task A_followers_page_says_what_it_does_not_know_of_the_others()
    {
        const string Unknown = "not known here";
        var cluster = await ClusterAsync(3);
        var follower = await cluster.FollowerAsync();
        var leader = await cluster.LeaderAsync();
        var third = cluster.Servers.First(s => s != follower && s != leader);

        await using var browser = await BrowserAsync(follower);
        var view = await PageView.UntilAsync(
            browser.Page, "three members", v => v.Members.Length == 3);

        string[] names = ["Role", "Answers", "Lag", "Last contact", "Round trip", "Replication"];
        Assert.Equal(
            ["follower", "yes", "–", "–", "–", "–"],
            PageView.Fields(view.Member(follower.NodeId), names));
        var ofLeader = PageView.Fields(view.Member(leader.NodeId), names);
        Assert.Equal(["leader", "yes", Unknown], ofLeader[..3]);
        Assert.InRange(PageView.MillisecondsOf(ofLeader[3]), 0, 2000);
        Assert.Equal([Unknown, Unknown], ofLeader[4..]);
        Assert.Equal(
            [Unknown, Unknown, Unknown],
            PageView.Fields(view.Member(third.NodeId), names)[..3]);
        Assert.EndsWith(
            $": see the page of node {leader.NodeId}.", view.Note, StringComparison.Ordinal);
        Assert.Equal(Unknown, view.Node["Members that answer"]);
    }

    private static async Task IsAsInSqlAsync(TestServer server, PageView view)
    {
        Assert.Equal($"test-cluster, node {server.NodeId}", view.Name);
        Assert.Equal($"pgraft test-cluster, node {server.NodeId}", view.Title);
        var node = await server.RowsAsync(
            "SELECT h.worker, h.role, h.term, 'node ' || h.leader_id, "
            + "CASE WHEN h.quorum THEN 'yes' END, coalesce(h.live_members::text, "
            + "'not known here'), CASE WHEN h.is_leader THEN 'yes' ELSE 'no' END, "
            + $"(SELECT to_char(max(changed_at) AT TIME ZONE 'UTC', {Iso}) FROM pgraft.history), "
            + "pgraft_get_version(), s.elections_triggered, k.total_keys, k.revision "
            + "FROM pgraft.health h, pgraft_get_cluster_status() s, pgraft.kv k");
        Assert.Equal(
            Assert.Single(node),
            string.Join('|', PageView.Fields(
                view.Node, "Worker", "Role", "Term", "Leader", "Majority there",
                "Members that answer", "May act as leader", "Since", "Version",
                "Elections started here", "Keys", "Revision")));

        var log = await server.RowsAsync(
            "SELECT first_index, last_index, commit_index, last_applied, snapshot_index "
            + "FROM pgraft.log_stats");
        Assert.Equal(
            Assert.Single(log),
            string.Join('|', PageView.Fields(
                view.Log, "First index", "Last index", "Committed", "Applied", "Snapshot at")));
        Assert.True(long.Parse(view.Log["First index"], CultureInfo.InvariantCulture) > 1);

        // The files themselves.
        var snapshot = Assert.Single(
            Directory.GetFiles(server.PgraftDirectory, "snapshot-*.snap"));
        Assert.Matches($"snapshot-0*{view.Log["Snapshot at"]}-", snapshot);
        var snapshotBytes = new FileInfo(snapshot).Length;
        var logBytes = Directory.GetFiles(Path.Combine(server.PgraftDirectory, "log"))
            .Sum(f => new FileInfo(f).Length);
        Assert.Equal(
            (PageView.Bytes(snapshotBytes), PageView.Bytes(logBytes + snapshotBytes)),
            (view.Log["Snapshot"], view.Log["On disk"]));
    }

    // Each leader of each term, oldest first, and how long.
    private static List<(string Name, string Kind, double Ms)> PartsOf(PageView view, int node)
    {
        var rows = view.History.Reverse().ToArray();
        var times = rows.Select(row => row["Time"])
            .Append(view.ShownAt)
            .Select(t => DateTimeOffset.Parse(t, CultureInfo.InvariantCulture)).ToArray();
        var parts = new List<(string Name, string Kind, double Ms)>();
        for (var i = 0; i < rows.Length; i++)
        {
            var leader = rows[i]["Leader"];
            var kind = leader == "none known" ? "none" : leader == $"node {node}" ? "own" : "";
            var name = $"{(kind == "none" ? "none" : leader)}, term {rows[i]["Term"]}";
            var ms = (times[i + 1] - times[i]).TotalMilliseconds;
            if (parts.Count > 0 && parts[^1].Name == name)
            {
                ms += parts[^1].Ms;
                parts.RemoveAt(parts.Count - 1);
            }

            parts.Add((name, kind, ms));
        }

        return parts;
    }

    // As the page writes it; the test is over within a minute.
    private static string Span(double ms)
    {
        return ms < 1000
            ? string.Create(CultureInfo.InvariantCulture, $"{ms} ms")
            : string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(ms / 100) / 10:F1} s");
    }
}
