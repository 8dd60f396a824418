// pgraft.log_stats against the log that is there: its files, its entries, its snapshot, and entries
// that are not committed.
//
// Threading: one test at a time, each with servers of its own.

using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests.Columns;

public sealed class LogColumnTests : ServerTest
{
    private const string View = "pgraft.log_stats";

    [Fact]
    [ValuesOf(
        View, "log_size", "last_index", "first_index", "snapshot_index", "snapshot_term",
        "disk_bytes")]
    public async Task The_log_is_shown_as_its_files_and_entries_are()
    {
        // More than a segment, so that the first can be dropped.
        const int Values = 14;
        var cluster = await NewClusterAsync(
            1, Founding.AddNode, s => s.Settings["pgraft.max_log_entries"] = "0");
        var server = cluster[1];
        await server.ExecuteAsync(
            "SELECT pgraft_kv_put('k' || i, repeat('v', 1500000)) "
            + $"FROM generate_series(1, {Values}) i");
        var term = await server.ScalarAsync<long>("SELECT pgraft_get_term()");
        var snapshot = await server.ScalarAsync<long>("SELECT pgraft_snapshot()");
        await server.RestartAsync();
        await TestCluster.FirstWriteAsync(server, "after/restart");
        Assert.NotEqual(term, await server.ScalarAsync<long>("SELECT pgraft_get_term()"));
        var last = await server.ScalarAsync<long>(
            "SELECT pgraft_log_append(pgraft_get_term(), 'last')");

        var stats = await Numbers.OfAsync(
            server, View, "log_size", "last_index", "first_index", "snapshot_index",
            "snapshot_term");

        Assert.Equal(
            (last, snapshot, term),
            (stats["last_index"], stats["snapshot_index"], stats["snapshot_term"]));
        Assert.InRange(stats["first_index"], 2, snapshot + 1);
        Assert.Equal(last - stats["first_index"] + 1, stats["log_size"]);
        foreach (var (index, isThere) in new[]
        {
            (stats["first_index"] - 1, false), (stats["first_index"], true), (last, true),
            (last + 1, false),
        })
        {
            Assert.Equal((index, isThere), (index, await HasEntryAsync(server, index)));
        }

        // What is not needed any more is deleted in the background.
        await Poll.UntilAsync(
            "disk_bytes is what the files have",
            async () => await server.ScalarAsync<long>($"SELECT disk_bytes FROM {View}")
                == BytesOf(server));
    }

    [Fact]
    [ValuesOf(View, "commit_index", "last_applied")]
    public async Task An_entry_without_a_majority_is_in_the_log_and_not_committed()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        await cluster.AgreedStateAsync();
        var committed = await leader.ScalarAsync<long>(
            "SELECT pgraft_log_append(pgraft_get_term(), 'committed')");
        await using var session = await leader.OpenAsync();
        await session.ExecuteAsync("SET pgraft.request_timeout = '300ms'");
        var others = cluster.Servers.Where(s => s != leader).Select(s => s.WorkerPid);
        await using (await Freezer.ProcessesAsync([.. others]))
        {
            var error = await Assert.ThrowsAsync<Npgsql.PostgresException>(
                () => session.ExecuteAsync("SELECT pgraft_kv_put('not', 'committed')"));
            Assert.Equal("40003", error.SqlState);
            Assert.Equal(
                $"{committed + 1}|{committed}|{committed}",
                Assert.Single(await leader.RowsAsync(
                    $"SELECT last_index, commit_index, last_applied FROM {View}")));
        }

        await cluster.LeaderAsync();
        await cluster.AgreedStateAsync();
    }

    private static async Task<bool> HasEntryAsync(TestServer server, long index)
    {
        try
        {
            await server.ExecuteAsync(string.Create(
                CultureInfo.InvariantCulture, $"SELECT pgraft_log_get_entry({index})"));
            return true;
        }
        catch (Npgsql.PostgresException e)
            when (e.MessageText.Contains("holds no entry", StringComparison.Ordinal))
        {
            return false;
        }
    }

    private static long BytesOf(TestServer server)
    {
        var log = Directory.GetFiles(Path.Combine(server.PgraftDirectory, "log"));
        var snapshots = Directory.GetFiles(
            server.PgraftDirectory, "snapshot-*.snap", SearchOption.AllDirectories);
        return log.Concat(snapshots).Sum(f => new FileInfo(f) is { Exists: true } i ? i.Length : 0);
    }
}
