// Metrics of log, disk and snapshots against a disk whose syncs take a known time, and against the
// files that are there.
using System.Diagnostics;
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Cluster;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Metrics;

public class LogMetricTests
{
    private const int SegmentBytes = 64 * 1024;
    private const int MostOfValue = 4000;
    private readonly SlowDisk _disk = new();

    [Fact]
    [ValuesOf(
        "pgraft_log_sync_duration_seconds", "pgraft_apply_duration_seconds",
        "pgraft_snapshot_duration_seconds", "pgraft_proposal_duration_seconds",
        "pgraft_request_duration_seconds")]
    public async Task Times_are_those_that_the_disk_took()
    {
        const int puts = 8;
        const string writes = "{kind=\"write\"}";
        await using var cluster = await AloneAsync();
        _disk.SyncTime = TimeSpan.FromMilliseconds(60);

        var putting = await Scrape.BeginAsync(cluster, 1);
        await Scrape.PutAsync(cluster, 1, puts);
        await putting.EndAsync();

        putting.TookAtLeast("pgraft_log_sync_duration_seconds", puts, 0.05);
        putting.TookAtLeast("pgraft_proposal_duration_seconds", puts, 0.05);
        putting.TookAtLeast("pgraft_request_duration_seconds", puts, 0.05, writes);
        double syncs = putting.Of("pgraft_log_sync_duration_seconds_sum");
        double applies = putting.Of("pgraft_apply_duration_seconds_sum");
        Assert.Equal(puts, putting.Of("pgraft_apply_duration_seconds_count"));
        Assert.InRange(applies, 1e-6, putting.Seconds - syncs);
        Assert.InRange(
            putting.Of("pgraft_proposal_duration_seconds_sum"), syncs, putting.Seconds);
        Assert.Equal(0, putting.Of("pgraft_snapshot_duration_seconds_count"));

        var writing = await Scrape.BeginAsync(cluster, 1);
        await cluster.CallAsync(1, RequestCode.Snapshot);
        await writing.EndAsync();

        writing.TookAtLeast("pgraft_snapshot_duration_seconds", 1, 0.05);
        Assert.Equal(0, writing.Of("pgraft_log_sync_duration_seconds_count"));

        var reading = await Scrape.BeginAsync(cluster, 1);
        for (int i = 0; i < 3; i++)
            await cluster.CallAsync(1, RequestCode.KvGet, "key", true);
        await reading.EndAsync();

        Assert.Equal(3, reading.Of("pgraft_request_duration_seconds_count{kind=\"read\"}"));
        Assert.InRange(
            reading.Of("pgraft_request_duration_seconds_sum{kind=\"read\"}"), 1e-6,
            reading.Seconds);
        Assert.Equal(0, reading.Of($"pgraft_request_duration_seconds_count{writes}"));
    }

    [Fact]
    [ValuesOf("pgraft_snapshot_failures_total")]
    public async Task A_snapshot_without_room_is_a_failure()
    {
        await using var cluster = await AloneAsync();
        await Scrape.PutAsync(cluster, 1, 1);
        _disk.IsFull = true;
        for (int i = 0; i < 2; i++)
        {
            var answer = await cluster.CallAsync(1, RequestCode.Snapshot);
            Assert.Equal(StatusCode.DiskFull, answer.Status);
        }

        var full = await Scrape.OfAsync(cluster, 1);
        Assert.Equal(2, full["pgraft_snapshot_failures_total"]);
        Assert.Equal(0, full["pgraft_snapshot_duration_seconds_count"]);
        Assert.Equal(0, full["pgraft_snapshot_index"]);

        _disk.IsFull = false;
        await cluster.CallAsync(1, RequestCode.Snapshot);
        var roomy = await Scrape.OfAsync(cluster, 1);
        Assert.Equal(2, roomy["pgraft_snapshot_failures_total"]);
        Assert.Equal(1, roomy["pgraft_snapshot_duration_seconds_count"]);
    }

    [Fact]
    [ValuesOf(
        "pgraft_snapshots_installed_total", "pgraft_log_first_index", "pgraft_log_last_index",
        "pgraft_log_size", "pgraft_snapshot_index", "pgraft_snapshot_bytes",
        "pgraft_storage_bytes")]
    public async Task The_log_that_is_shown_is_the_log_that_is_there()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true, Short);
        int leader = await cluster.WaitForLeaderAsync();
        int late = cluster.Running().First(id => id != leader);
        await cluster.StopNodeAsync(late);
        await Scrape.PutAsync(cluster, leader, 100, MostOfValue);
        var snapshot = await cluster.CallAsync(leader, RequestCode.Snapshot);
        await cluster.StartNodeAsync(late);
        await cluster.WaitForEqualAsync();
        await Scrape.PutAsync(cluster, leader, 1);
        await cluster.WaitForEqualAsync();

        Assert.Equal(0, (await Scrape.OfAsync(cluster, leader))[
            "pgraft_snapshots_installed_total"]);
        Assert.Equal(1, (await Scrape.OfAsync(cluster, late))["pgraft_snapshots_installed_total"]);
        foreach (int id in new[] { leader, late })
        {
            await FilesAreShownAsync(cluster, id);
            var scraped = await Scrape.OfAsync(cluster, id);
            Assert.Equal((long)snapshot.Value!, scraped["pgraft_snapshot_index"]);
            await EntriesAreShownAsync(cluster, id, scraped);
        }
    }

    [Fact]
    [ValuesOf("pgraft_disk_free_bytes", "pgraft_disk_size_bytes")]
    public async Task The_disk_is_as_large_and_as_free_as_df_says()
    {
        const double otherWork = 1e9;
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();

        var (size, before) = await SpaceAsync(cluster.DataDirectory(leader));
        var scraped = await Scrape.OfAsync(cluster, leader);
        var (_, after) = await SpaceAsync(cluster.DataDirectory(leader));

        Assert.Equal(size, scraped["pgraft_disk_size_bytes"]);
        Assert.InRange(
            scraped["pgraft_disk_free_bytes"], Math.Min(before, after) - otherWork,
            Math.Max(before, after) + otherWork);
    }

    private static NodeOptions Short(NodeOptions options) => options with
    {
        LogSegmentBytes = SegmentBytes,
        Runtime = options.Runtime with { MaxLogEntries = 0 },
    };

    private async Task<HostCluster> AloneAsync()
    {
        var cluster = await HostCluster.StartAsync(isFounded: false, o => o with { Io = _disk });
        await cluster.CallAsync(1, RequestCode.Init);
        return cluster;
    }

    private static async Task EntriesAreShownAsync(
        HostCluster cluster, int id, Exposition scraped)
    {
        long first = (long)scraped["pgraft_log_first_index"];
        long last = (long)scraped["pgraft_log_last_index"];
        Assert.InRange(first, 2, last);
        Assert.Equal(last - first + 1, scraped["pgraft_log_size"]);
        foreach (var (index, isThere) in new[]
        {
            (first - 1, false), (first, true), (last, true), (last + 1, false),
        })
        {
            var entry = await cluster.CallAsync(id, RequestCode.LogGetEntry, index);
            Assert.Equal((index, isThere), (index, entry.Status == StatusCode.Ok));
        }
    }

    // Files that are not needed any more are deleted in the background.
    private static Task<Exposition> FilesAreShownAsync(
        HostCluster cluster, int id) => Eventually.GetAsync(
        () => Scrape.OfAsync(cluster, id),
        scraped =>
        {
            long snapshot = BytesOf(cluster.DataDirectory(id), "snapshot-*.snap");
            long log = BytesOf(Path.Combine(cluster.DataDirectory(id), "log"), "*");
            return scraped["pgraft_snapshot_bytes"] == snapshot
                && scraped["pgraft_storage_bytes"] == log + snapshot;
        },
        $"the files of node {id} are as large as its metrics say");

    private static long BytesOf(string directory, string pattern) => Directory
        .EnumerateFiles(directory, pattern, SearchOption.AllDirectories)
        .Sum(path => new FileInfo(path) is { Exists: true } file ? file.Length : 0);

    private static async Task<(double Size, double Free)> SpaceAsync(string path)
    {
        var start = new ProcessStartInfo("df", ["-B1", "--output=size,avail", path])
        {
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        string text = await process.StandardOutput.ReadToEndAsync(
            TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        var numbers = text.Split('\n')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(n => double.Parse(n, CultureInfo.InvariantCulture)).ToArray();
        return (numbers[0], numbers[1]);
    }
}
