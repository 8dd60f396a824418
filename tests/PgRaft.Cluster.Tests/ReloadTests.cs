// Settings at run time: each that can be reloaded takes effect at `pg_ctl reload`, seen by what the
// server then does; one that cannot is reported as waiting for a restart. The settings of snapshots
// are SnapshotSettingsTests'.
//
// Threading: one test at a time, each with servers of its own.

using PgRaft.Cluster.Tests.Columns;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class ReloadTests : ServerTest
{
    // A follower that catches up counts the messages it needs for that.
    [Fact]
    public async Task Fewer_entries_go_into_one_message()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster, s =>
            s.Settings["pgraft.batch_size"] = "100");
        var few = await MessagesToCatchUpAsync(cluster);

        foreach (var server in cluster.Servers)
        {
            server.Settings["pgraft.batch_size"] = "1";
            await ReloadAsync(server, "pgraft.batch_size", "1");
        }

        var many = await MessagesToCatchUpAsync(cluster);
        Note($"messages to catch up: {few}, one entry each: {many}");
        Assert.True(few < 500, $"{few} messages");
        Assert.True(many >= 1000, $"{many} messages");
    }

    [Fact]
    [ValuesOf("pgraft.kv", "compacted_revision")]
    public async Task History_is_compacted_by_a_new_threshold()
    {
        const string Compacted = "SELECT compacted_revision FROM pgraft.kv";
        var server = await LeaderAsync();
        await PutManyAsync(server, 200);
        Assert.Equal(0L, await server.ScalarAsync<long>(Compacted));

        server.Settings["pgraft.compaction_threshold"] = "50";
        await ReloadAsync(server, "pgraft.compaction_threshold", "50");

        Assert.Equal(150L, await Poll.UntilAsync(
            "history is compacted", () => server.ScalarAsync<long>(Compacted), r => r > 0));
    }

    [Fact]
    public async Task The_largest_value_is_another_after_a_reload()
    {
        const string Put = "SELECT pgraft_kv_put('k', repeat('x', 3000))";
        var server = await LeaderAsync();
        await server.ExecuteAsync(Put);

        server.Settings["pgraft.max_value_size"] = "2";
        await ReloadAsync(server, "pgraft.max_value_size", "2kB");
        var error = await Poll.UntilAsync(
            "the value is refused", () => StateOfAsync(server, Put), state => state != "00000");
        Assert.Equal("54000", error);

        server.Settings["pgraft.max_value_size"] = "4";
        await ReloadAsync(server, "pgraft.max_value_size", "4kB");
        await Poll.UntilAsync(
            "the value is taken", () => StateOfAsync(server, Put), state => state == "00000");
    }

    [Fact]
    public async Task What_needs_a_restart_is_reported_until_it_had_one()
    {
        const string Finding = "SELECT concat_ws('|', value, severity, finding) "
            + "FROM pgraft.settings_check WHERE name = 'pgraft.election_timeout'";
        var server = await LeaderAsync();

        server.Settings["pgraft.election_timeout"] = "1500";
        await server.ReloadAsync();

        await server.WaitForLogAsync(
            "parameter \"pgraft.election_timeout\" cannot be changed without restarting");
        Assert.Equal(
            "1s|warning|waits for a restart: the configuration has another value",
            await Poll.UntilAsync(
                "it is a finding", () => server.ScalarAsync<string>(Finding), f => f != "1s"));
        Assert.True(await server.ScalarAsync<bool>(
            "SELECT pending_restart FROM pg_settings WHERE name = 'pgraft.election_timeout'"));

        await server.RestartAsync();
        Assert.Equal("1500ms", await server.ScalarAsync<string>(Finding));
    }

    private async Task<TestServer> LeaderAsync()
    {
        return (await NewClusterAsync(1, Founding.AddNode))[1];
    }

    // Until the server's own sessions see the value: the worker has been told then, too, or is
    // about to be.
    private static async Task ReloadAsync(TestServer server, string name, string value)
    {
        await server.ReloadAsync();
        await Poll.UntilAsync(
            $"{name} is {value}",
            () => server.ScalarAsync<string>($"SELECT current_setting('{name}')"),
            v => v == value);
    }

    private static Task PutManyAsync(TestServer server, int count)
    {
        return server.ExecuteAsync(
            $"SELECT count(pgraft_kv_put('k' || i, 'v')) FROM generate_series(1, {count}) i");
    }

    private static async Task<string> StateOfAsync(TestServer server, string sql)
    {
        try
        {
            await server.ExecuteAsync(sql);
            return "00000";
        }
        catch (Npgsql.PostgresException e)
        {
            return e.SqlState;
        }
    }

    private static async Task<long> MessagesToCatchUpAsync(TestCluster cluster)
    {
        var follower = await cluster.FollowerAsync();
        await follower.StopAsync();
        var leader = await cluster.LeaderAsync();
        await PutManyAsync(leader, 1000);
        await follower.StartAsync();
        await cluster.AgreedStateAsync();
        return await follower.ScalarAsync<long>(
            "SELECT messages_processed FROM pgraft_get_cluster_status()");
    }
}
