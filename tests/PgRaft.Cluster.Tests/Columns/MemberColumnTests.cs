// What a leader says of the others, and a member of itself, while one of them is frozen, dead, or
// so slow that it stays behind by a known number of entries.
//
// Threading: one test at a time, on servers of its own.

using System.Diagnostics;
using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests.Columns;

public sealed class MemberColumnTests : ServerTest, IAsyncLifetime
{
    private const int Behind = 20;

    // What may lie between an answer and the freezing of who gave it, on a busy machine.
    private const long SlackMs = 1000;

    private readonly Dictionary<TestServer, Preload> _disks = [];
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync()
    {
        var disks = new Stack<Preload>();
        for (var i = 0; i < 3; i++)
        {
            disks.Push(await Preload.CreateAsync());
        }

        _cluster = await NewClusterAsync(3, Founding.InitialCluster, s =>
        {
            s.BinDirectory = (_disks[s] = disks.Pop()).BinDirectory;
            s.Settings["pgraft.batch_size"] = "1";
        });
    }

    [Fact]
    [ValuesOf(
        "pgraft.replication", "node_id", "match_index", "next_index", "is_active", "lag",
        "last_contact_ms", "state")]
    [ValuesOf("pgraft.endpoint_health", "is_alive", "last_contact_ms")]
    [ValuesOf("pgraft_get_queue_status", "pending_msgs", "queue_full")]
    public async Task A_frozen_member_is_silent_since_then_and_behind_by_what_was_written()
    {
        var leader = await _cluster.LeaderAsync();
        var frozen = await _cluster.FollowerAsync();
        var well = _cluster.Servers.First(s => s != leader && s != frozen);
        await _cluster.AgreedStateAsync();
        var had = await AppendAsync(leader);
        await CaughtUpAsync(leader, frozen, had);

        var freezing = Stopwatch.StartNew();
        await using var freezer = await Freezer.ProcessesAsync(frozen.WorkerPid);
        var stopped = Stopwatch.StartNew();
        await WriteAsync(leader, Behind);
        await CaughtUpAsync(leader, well, had + Behind);

        var silent = "last_contact_ms > " + Text(2 * SlackMs);
        await Poll.UntilAsync(
            "the silence grows",
            () => leader.RowsAsync(
                $"SELECT 1 FROM pgraft.replication WHERE node_id = {frozen.NodeId} AND {silent}"),
            rows => rows.Count == 1);
        foreach (var view in (string[])["pgraft.replication", "pgraft.endpoint_health"])
        {
            var least = stopped.ElapsedMilliseconds - SlackMs;
            var ms = await leader.ScalarAsync<long>(
                $"SELECT last_contact_ms FROM {view} WHERE node_id = {frozen.NodeId}");
            Assert.InRange(ms, least, freezing.ElapsedMilliseconds + SlackMs);
        }

        Assert.Equal(
            [
                Row(frozen, had, 0, Behind, "unreachable"),
                Row(well, had + Behind, 1, 0, "replicate"),
            ],
            await leader.RowsAsync(
                "SELECT node_id, match_index, next_index > match_index, is_active, lag, state "
                + $"FROM pgraft.replication ORDER BY node_id = {well.NodeId}"));
        Assert.InRange(
            await leader.ScalarAsync<long>(
                $"SELECT last_contact_ms FROM pgraft.replication WHERE node_id = {well.NodeId}"),
            0, SlackMs);
        await Poll.UntilAsync(
            "the frozen one is not alive",
            () => leader.RowsAsync(
                "SELECT node_id, is_alive FROM pgraft.endpoint_health "
                + $"WHERE node_id <> {leader.NodeId} ORDER BY node_id = {well.NodeId}"),
            rows => rows.SequenceEqual([$"{frozen.NodeId}|False", $"{well.NodeId}|True"]));
        await PendingAsync(leader, well);

        await freezer.ThawAsync();
        await _cluster.AgreedStateAsync();
    }

    // With one entry in a message and a slow disk, a follower knows for seconds what it has not.
    [Fact]
    [ValuesOf("pgraft.health", "lag")]
    [ValuesOf("pgraft_health_check", "lag")]
    public async Task A_member_knows_how_far_it_is_behind()
    {
        var leader = await _cluster.LeaderAsync();
        var slow = await _cluster.FollowerAsync();
        await _cluster.AgreedStateAsync();
        await using (await Freezer.ProcessesAsync(slow.WorkerPid))
        {
            await WriteAsync(leader, Behind);
            _disks[slow].SlowSyncs(TimeSpan.FromMilliseconds(200));
        }

        var committed = await leader.ScalarAsync<long>("SELECT commit_index FROM pgraft.log_stats");
        var lags = new List<long>();
        await Poll.UntilAsync(
            "it has caught up",
            async () =>
            {
                var (before, lag, inJson, after) = await LagAsync(slow);
                if (lag > 0 || lags.Count > 0)
                {
                    Assert.InRange(lag, committed - after, committed - before);
                    Assert.InRange(inJson, committed - after, lag);
                    lags.Add(lag);
                }

                return lags.Count > 0 && lag == 0;
            });
        Note($"lags: {string.Join(' ', lags.Distinct())}");
        Assert.InRange(lags.Max(), Behind / 2, Behind);
        Assert.True(lags.Distinct().Count() > 3, string.Join(' ', lags));
        Assert.Equal(0, (await LagAsync(leader)).Lag);
        _disks[slow].SlowSyncs(TimeSpan.Zero);
    }

    [Fact]
    [ValuesOf(
        "pgraft.endpoint_health", "node_id", "address", "port", "version", "protocol",
        "data_version", "last_error")]
    public async Task The_members_are_those_that_were_started_and_the_error_is_of_the_dead_one()
    {
        var leader = await _cluster.LeaderAsync();
        var dead = await _cluster.FollowerAsync();
        await Poll.UntilAsync(
            "all are known",
            () => leader.RowsAsync(
                "SELECT node_id, address, port, version = pgraft_get_version(), protocol, "
                + "data_version, last_error FROM pgraft.endpoint_health ORDER BY node_id"),
            rows => rows.SequenceEqual(_cluster.Servers.Select(s => string.Create(
                CultureInfo.InvariantCulture, $"{s.NodeId}|127.0.0.1|{s.RaftPort}|True|1|2|"))));

        await dead.KillAsync();

        await Poll.UntilAsync(
            "the error is that nobody listens",
            () => leader.RowsAsync(
                "SELECT node_id FROM pgraft.endpoint_health WHERE last_error ~* 'refused'"),
            rows => rows.SequenceEqual([Text(dead.NodeId)]));
    }

    private static string Row(TestServer server, long match, int active, int lag, string state)
    {
        return $"{server.NodeId}|{Text(match)}|True|{active == 1}|{lag}|{state}";
    }

    private static string Text(long number)
    {
        return number.ToString(CultureInfo.InvariantCulture);
    }

    private static Task<long> AppendAsync(TestServer server)
    {
        return server.ScalarAsync<long>("SELECT pgraft_log_append(pgraft_get_term(), 'entry')");
    }

    private static Task WriteAsync(TestServer server, int count)
    {
        return server.ExecuteAsync(
            $"SELECT pgraft_kv_put('k', 'v') FROM generate_series(1, {count})");
    }

    private static Task<long> CaughtUpAsync(TestServer leader, TestServer follower, long index)
    {
        return Poll.UntilAsync(
            $"node {follower.NodeId} has everything",
            () => leader.ScalarAsync<long>(
                $"SELECT match_index FROM pgraft.replication WHERE node_id = {follower.NodeId}"),
            match => match == index);
    }

    // Without the other one too nothing is committed, so what is asked waits.
    private static async Task PendingAsync(TestServer leader, TestServer well)
    {
        const int Writers = 3;
        const string Queue = "SELECT pending_msgs, queue_full FROM pgraft_get_queue_status()";
        Assert.Equal(["0|False"], await leader.RowsAsync(Queue));
        Task[] writing;
        await using (await Freezer.ProcessesAsync(well.WorkerPid))
        {
            writing = [.. Enumerable.Range(0, Writers)
                .Select(i => leader.PutAsync($"pending/{i}", "x"))];
            await Poll.UntilAsync(
                "all wait",
                () => leader.RowsAsync(Queue),
                rows => rows.SequenceEqual([$"{Writers}|False"]));
        }

        await Task.WhenAll(writing);
        await Poll.UntilAsync(
            "nobody waits", () => leader.RowsAsync(Queue), rows => rows is ["0|False"]);
    }

    private static async Task<(long Before, long Lag, long InJson, long After)> LagAsync(
        TestServer server)
    {
        await using var session = await server.OpenAsync();
        var before = await session.ScalarAsync<long>("SELECT pgraft_get_applied_index()");
        var lag = await session.ScalarAsync<long>("SELECT coalesce(lag, 0) FROM pgraft.health");
        var inJson = await session.ScalarAsync<long>(
            "SELECT coalesce((pgraft_health_check()->>'lag')::bigint, 0)");
        var after = await session.ScalarAsync<long>("SELECT pgraft_get_applied_index()");
        return (before, lag, inJson, after);
    }
}
