// The rolling upgrade of docs/upgrading.md, its commands as written, on a cluster that is written
// to all the while; and the update of the extension, with a second version script.
//
// Installing is the one step that is not a command of the page: here the server's programs are
// changed for those of the next release.
//
// Threading: one test at a time. Failure: the servers' logs are shown.

using PgRaft.Cluster.Tests.Docs;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Upgrade.Tests;

public sealed class RollingUpgradeTests : ServerTest
{
    private const string Page = "docs/upgrading.md";
    private const string Stop = "pg_ctl stop -D \"$PGDATA\" -m fast";
    private const string Start = "pg_ctl start -D \"$PGDATA\"";

    // What the extension had, by signature, and with whom.
    private const string Surface = """
        SELECT p.oid::regprocedure || ' ' || pg_get_function_result(p.oid) || ' '
            || coalesce(p.proacl::text, '')
        FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.deptype = 'e'
            JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
        WHERE e.extname = 'pgraft' ORDER BY 1
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task The_documented_upgrade_loses_nothing_and_each_member_stays_a_member()
    {
        var steps = new Steps(new DocPage(Page));
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        await using var load = await WriteLoad.StartAsync(cluster.Servers);

        // Followers first, then the leader, whoever that is by then.
        for (var left = cluster.Servers.ToList(); left.Count > 0;)
        {
            var next = await NextAsync(left, steps.IsLeader);
            left.Remove(next);
            var written = load.Acknowledged;
            await UpgradeAsync(next, steps);
            var leader = await cluster.LeaderAsync();
            await Poll.UntilAsync(
                "the followers have caught up", () => leader.RowsAsync(steps.Behind),
                rows => rows.Count == 0, Patience);
            await Poll.UntilAsync(
                "writes go on", () => load.Acknowledged > written + 50, Patience);
        }

        await load.StopAsync();
        foreach (var server in cluster.Servers)
        {
            Assert.Equal("1.0", await ExtensionAsync(server));
            await server.ExecuteAsync(steps.Update);
            Assert.Equal(Releases.NextVersion, await ExtensionAsync(server));
        }

        var last = await cluster.LeaderAsync();
        Assert.Equal(
            ["data version|3|", "extension|1.1|", "versions|1.1|"],
            await Poll.UntilAsync(
                "the upgrade shows as finished", () => last.RowsAsync(steps.Check),
                rows => rows.All(row => row.EndsWith('|')), Patience));
        await cluster.AgreedStateAsync();
        foreach (var server in cluster.Servers)
        {
            Assert.Empty(await load.LostOnAsync(server, "local"));
        }
    }

    [Fact]
    public async Task Updating_the_extension_keeps_what_was_there_and_adds_what_is_new()
    {
        var server = await NewServerAsync();
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft; SELECT pgraft_init()");
        await server.ExecuteAsync(
            "CREATE VIEW own AS SELECT pgraft_kv_get('k') AS v, s.last_index "
            + "FROM pgraft.log_stats s; SELECT pgraft_kv_put('k', 'kept')");
        var before = await server.RowsAsync(Surface);

        await server.StopAsync();
        server.BinDirectory = Releases.Next;
        await server.StartAsync();
        await Poll.UntilAsync(
            "it leads", () => server.ScalarAsync<bool>("SELECT pgraft_is_leader()"));

        // The new library under the old declarations.
        Assert.Equal(before, await server.RowsAsync(Surface));
        Assert.Equal("kept", await server.ScalarAsync<string>("SELECT v FROM own"));
        Assert.Equal(
            "1.0|warning|the library has version 1.1|Run ALTER EXTENSION pgraft UPDATE in this "
                + "database.",
            Assert.Single(await server.RowsAsync(
                "SELECT value, severity, finding, advice FROM pgraft.settings_check "
                + "WHERE name = 'extension'")));

        await server.ExecuteAsync(new Steps(new DocPage(Page)).Update);

        Assert.Equal("1.1", await ExtensionAsync(server));
        var after = await server.RowsAsync(Surface);
        Assert.Empty(before.Except(after));
        Assert.StartsWith(
            "pgraft_get_leader_address() text", Assert.Single(after.Except(before)),
            StringComparison.Ordinal);
        await CallAllAsync(server);
        Assert.Equal("kept", await server.ScalarAsync<string>("SELECT v FROM own"));
        Assert.Equal(0L, await server.ScalarAsync<long>(
            "SELECT uncommitted FROM pgraft.log_stats"));
        Assert.Equal($"127.0.0.1:{server.RaftPort}", await server.ScalarAsync<string>(
            "SELECT pgraft_get_leader_address()"));
        Assert.Equal("1.1||", Assert.Single(await server.RowsAsync(
            "SELECT value, severity, finding FROM pgraft.settings_check "
            + "WHERE name = 'extension'")));
    }

    // A statement for each function of 1.0 that a leader of one node can answer.
    private static async Task CallAllAsync(TestServer server)
    {
        foreach (var call in new[]
        {
            "pgraft_get_term()", "pgraft_get_worker_state()", "pgraft_get_applied_index()",
            "pgraft_get_cluster_status()", "pgraft_get_queue_status()", "pgraft_get_nodes()",
            "pgraft_get_nodes_from_raft()", "pgraft_log_get_stats()", "pgraft_kv_get_stats()",
            "pgraft.get_endpoint_status()", "pgraft.get_health()", "pgraft_health_check()",
            "pgraft.get_endpoint_health()", "pgraft.get_findings()", "pgraft_is_leader()",
            "pgraft_get_leader()", "pgraft_get_version()", "pgraft_test()",
            "pgraft_set_debug(false)", "pgraft_replicate_entry('data')",
            "pgraft_log_append(pgraft_get_term(), 'data')", "pgraft_log_commit(1)",
            "pgraft_log_apply(1)", "pgraft_log_sync_with_leader()",
            "pgraft_log_get_entry(pgraft_get_applied_index())", "pgraft_kv_put('a', 'b')",
            "pgraft_kv_put('a', 'c', 0)", "pgraft_kv_cas('b', 0, 'd')", "pgraft_kv_get('a')",
            "pgraft_kv_get('a', 'local')", "pgraft_kv_exists('a')", "pgraft_kv_list_keys()",
            "pgraft_kv_list_keys('a')", "pgraft_kv_delete('a')",
        })
        {
            Assert.NotEmpty(await server.RowsAsync($"SELECT {call}"));
        }
    }

    // A member that does not lead, as long as there is one.
    private static async Task<TestServer> NextAsync(List<TestServer> left, string isLeader)
    {
        foreach (var server in left)
        {
            if (!await server.ScalarAsync<bool>(isLeader))
            {
                return server;
            }
        }

        return left.Single();
    }

    private static async Task UpgradeAsync(TestServer server, Steps steps)
    {
        Assert.Equal((Stop, Start), (steps.Stop, steps.Start));
        await server.StopAsync("fast");
        server.BinDirectory = Releases.Next;
        await server.StartAsync();
        await Poll.UntilAsync(
            "it runs", () => server.ScalarAsync<string>(steps.State), s => s == "RUNNING",
            Patience);
    }

    private static Task<string> ExtensionAsync(TestServer server)
    {
        return server.ScalarAsync<string>(
            "SELECT extversion FROM pg_extension WHERE extname = 'pgraft'");
    }

    // The page's blocks, in the order in which it has them.
    private sealed class Steps
    {
        public Steps(DocPage page)
        {
            var blocks = page.Blocks
                .Where(b => b.Kind is "sql member" or "sql leader" or "sh member").ToArray();
            Assert.Equal(
                [
                    "sql member", "sh member", "sh member", "sql member", "sql leader",
                    "sql member", "sql leader",
                ],
                blocks.Select(b => b.Kind));
            (IsLeader, Stop, Start) = (blocks[0].Text, blocks[1].Text, blocks[2].Text);
            (State, Behind) = (blocks[3].Text, blocks[4].Text);
            (Update, Check) = (blocks[5].Text, blocks[6].Text);
        }

        public string IsLeader { get; }

        public string Stop { get; }

        public string Start { get; }

        public string State { get; }

        public string Behind { get; }

        public string Update { get; }

        public string Check { get; }
    }
}
