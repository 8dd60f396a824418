// A member that is new, or was wiped, joins by snapshot while the leader stays leader and clients
// go on writing, at default settings: an addition may take as long as it makes progress.
//
// Threading: the tests run one after the other, each with a cluster of its own.

using System.Diagnostics;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class LargeStateTests : ServerTest
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private const int Writers = 4;
    private const int SmallStateValueBytes = 4096;
    private const double SlowerAtMost = 5;

    // A short measurement on a busy machine shows waits of this length whatever pgraft does.
    private const double SchedulingMs = 10;

    // More than pgraft.snapshot_interval, so that there is a snapshot and the log is compacted.
    private const int SmallKeys = 11_000;

    [Fact]
    public async Task Members_join_by_snapshot_while_the_leader_serves()
    {
        await JoinsAsync(SmallKeys, SmallStateValueBytes, 800, SchedulingMs);
    }

    [Theory]
    [Trait("Category", "long")]
    [InlineData(128_000, 4_096)]
    [InlineData(500_000, 1_000)]
    public async Task Members_join_by_a_snapshot_of_500_MB_while_the_leader_serves(
        int keys, int valueBytes)
    {
        await JoinsAsync(keys, valueBytes, 3_000, 0);
    }

    private async Task JoinsAsync(
        int keys, int valueBytes, int measuredPuts, double leastP99Ms)
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        await BulkLoad.PutAsync(leader, keys, valueBytes);
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");
        Note($"{keys} keys of {valueBytes} bytes");
        foreach (var server in cluster.Servers)
        {
            await SnapshotOfAllAsync(server);
        }

        await using (var puts = new TimedPuts(leader, Writers))
        {
            await puts.UntilAsync(measuredPuts);
            var before = puts.Take();
            Note($"before, no snapshot being written: {before}; {Memory(cluster)}");
            var limitMs = Math.Max(before.P99Ms, leastP99Ms) * SlowerAtMost;

            await NewMemberAsync(cluster, leader, puts, limitMs);
            await WipedMemberAsync(cluster, leader, puts, limitMs);
        }

        Assert.Equal(term, await leader.ScalarAsync<long>("SELECT pgraft_get_term()"));
        await cluster.AgreedStateAsync();
        Note($"after: {Memory(cluster)}");
    }

    private static Task NewMemberAsync(
        TestCluster cluster, TestServer leader, TimedPuts puts, double limitMs)
    {
        return MemberJoinsAsync(cluster, leader, 4, puts, limitMs);
    }

    // A wiped member comes back under a new node_id (docs/guarantees.md).
    private static async Task WipedMemberAsync(
        TestCluster cluster, TestServer leader, TimedPuts puts, double limitMs)
    {
        var wiped = cluster.Servers.First(s => s != leader);
        await leader.ExecuteAsync($"SELECT pgraft_remove_node({wiped.NodeId})");
        await wiped.StopAsync();
        await MemberJoinsAsync(cluster, leader, 5, puts, limitMs);
    }

    private static async Task MemberJoinsAsync(
        TestCluster cluster, TestServer leader, int nodeId, TimedPuts puts, double limitMs)
    {
        var joiner = await cluster.AddServerAsync(nodeId);
        await joiner.WaitForStateAsync("WAITING");
        await using var memory = new ResidentMemory(
            ("leader", leader.WorkerPid), ("joiner", joiner.WorkerPid));
        puts.Take();
        var clock = Stopwatch.StartNew();
        await using (var session = await PatientSessionAsync(leader))
        {
            Assert.True(await session.ScalarAsync<bool>(
                "SELECT pgraft_add_node($1, '127.0.0.1', $2)", nodeId, joiner.RaftPort));
        }

        var during = puts.Take();
        var took = clock.Elapsed;
        Note($"node {nodeId} joined in {took}: {during}; {await memory.LargestAsync()}");
        Assert.Contains("installed the leader's snapshot", joiner.Log(), StringComparison.Ordinal);
        Assert.True(during.P99Ms < limitMs, $"{during}; limit {limitMs:F1} ms");
    }

    private static Task<NpgsqlConnection> PatientSessionAsync(TestServer server)
    {
        var settings = server.ConnectionSettings;
        settings.CommandTimeout = (int)Patience.TotalSeconds;
        return TestServer.OpenAsync(settings.ConnectionString);
    }

    // The next one is due after more puts than are measured before a transfer.
    private static async Task SnapshotOfAllAsync(TestServer server)
    {
        await using var session = await PatientSessionAsync(server);
        await session.ExecuteAsync("SET pgraft.request_timeout = '5min'");
        Assert.True(await session.ScalarAsync<long>("SELECT pgraft_snapshot()") > 0);
    }

    private static string Memory(TestCluster cluster)
    {
        return ResidentMemory.Of(
            [.. cluster.Running().Select(s => ($"node {s.NodeId}", s.WorkerPid))]);
    }
}
