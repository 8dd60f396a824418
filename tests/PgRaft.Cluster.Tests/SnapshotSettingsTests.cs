// pgraft.snapshot_interval and pgraft.max_log_entries: what docs/settings.md says of them, with the
// operations guide's three pairs, and that a reload takes effect.
//
// Threading: the tests run one after the other, each with servers of its own. Entries are as large
// as it takes for the log to have segments to drop.

using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class SnapshotSettingsTests : ServerTest
{
    private const int SegmentBytes = 16 * 1024 * 1024;
    private const int RecordHeaderBytes = 40;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(10_000, 1_000, 26_000, 1_500)]
    [InlineData(5_000, 500, 13_000, 3_000)]
    [InlineData(100_000, 10_000, 125_000, 250)]
    public async Task The_log_is_as_long_as_the_settings_say(
        int interval, int kept, int entries, int valueBytes)
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster, s =>
        {
            s.Settings["pgraft.snapshot_interval"] = Text(interval);
            s.Settings["pgraft.max_log_entries"] = Text(kept);
        });
        await BulkLoad.PutAsync(await cluster.LeaderAsync(), entries, valueBytes);
        await cluster.AgreedStateAsync();
        var perSegment = SegmentBytes / (valueBytes + RecordHeaderBytes);

        foreach (var server in cluster.Servers)
        {
            // The last one due may still be being written.
            var stats = await Poll.UntilAsync(
                $"a snapshot of node {server.NodeId} within the interval",
                () => StatsAsync(server),
                s => s.LastApplied - s.SnapshotIndex < interval && s.FirstIndex > 1,
                Patience);
            Note($"node {server.NodeId}: {stats}");

            Assert.True(stats.SnapshotIndex >= interval);
            Assert.Equal(stats.LastIndex - stats.FirstIndex + 1, stats.LogSize);
            var behind = stats.SnapshotIndex - stats.FirstIndex + 1;
            Assert.InRange(behind, kept, kept + perSegment);
            var segments = Directory.GetFiles(
                Path.Combine(server.PgraftDirectory, "log"), "segment-*.log").Length;
            Assert.InRange(segments, 1, (stats.LogSize / perSegment) + 2);
        }
    }

    [Fact]
    public async Task A_reload_takes_effect_at_once_also_when_nothing_is_written()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode, s =>
        {
            s.Settings["pgraft.snapshot_interval"] = Text(1_000_000);
            s.Settings["pgraft.max_log_entries"] = Text(1_000_000);
        });
        const int Entries = 13_000;
        await BulkLoad.PutAsync(cluster[1], Entries, valueBytes: 3_000);
        var before = await StatsAsync(cluster[1]);
        Assert.Equal((0, 1), (before.SnapshotIndex, before.FirstIndex));

        cluster[1].Settings["pgraft.snapshot_interval"] = Text(5_000);
        await cluster[1].ReloadAsync();
        var snapshot = await Poll.UntilAsync(
            "a snapshot", () => StatsAsync(cluster[1]), s => s.SnapshotIndex >= Entries, Patience);
        Assert.Equal(1, snapshot.FirstIndex);

        cluster[1].Settings["pgraft.max_log_entries"] = Text(500);
        await cluster[1].ReloadAsync();
        await Poll.UntilAsync(
            "a shorter log", () => StatsAsync(cluster[1]), s => s.LogSize < Entries / 2, Patience);
    }

    [Fact]
    public async Task A_snapshot_by_hand_covers_everything_applied_and_shortens_the_log()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        await cluster[1].PutAsync("key", "value");
        await cluster.AgreedStateAsync();
        foreach (var server in cluster.Servers)
        {
            var before = await StatsAsync(server);
            Assert.Equal(0, before.SnapshotIndex);
            var index = await server.ScalarAsync<long>("SELECT pgraft_snapshot()");
            Assert.True(index >= before.LastApplied);
            Assert.Equal(index, await server.ScalarAsync<long>("SELECT pgraft_snapshot()"));
            Assert.Equal(index, (await StatsAsync(server)).SnapshotIndex);
            await server.KillAsync();
            await server.StartAsync();
            await server.WaitForStateAsync("RUNNING");
            Assert.Equal(index, (await StatsAsync(server)).SnapshotIndex);
            await cluster.LeaderAsync();
        }
    }

    private static string Text(int number)
    {
        return number.ToString(CultureInfo.InvariantCulture);
    }

    private static async Task<LogStats> StatsAsync(TestServer server)
    {
        var row = (await server.RowsAsync(
            "SELECT snapshot_index, first_index, last_index, last_applied, log_size, disk_bytes "
            + "FROM pgraft_log_get_stats()"))[0];
        var v = row.Split('|').Select(t => long.Parse(t, CultureInfo.InvariantCulture)).ToArray();
        return new LogStats(v[0], v[1], v[2], v[3], v[4], v[5]);
    }

    private sealed record LogStats(
        long SnapshotIndex, long FirstIndex, long LastIndex, long LastApplied, long LogSize,
        long DiskBytes);
}
