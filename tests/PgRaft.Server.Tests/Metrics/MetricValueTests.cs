// Every metric against what was really done: three real nodes, a known number of requests, of
// elections, of bytes.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Cluster;
using PgRaft.Server.Tests.Fakes;
using PgRaft.Server.Tests.Http;

using Xunit;

namespace PgRaft.Server.Tests.Metrics;

public class MetricValueTests
{
    [Fact]
    [ValuesOf(
        "pgraft_requests_total", "pgraft_proposals_total", "pgraft_request_duration_seconds",
        "pgraft_kv_puts_total", "pgraft_kv_deletes_total", "pgraft_kv_keys", "pgraft_kv_bytes",
        "pgraft_kv_revision", "pgraft_commit_index", "pgraft_applied_index", "pgraft_log_size")]
    public async Task Requests_proposals_and_keys_are_counted()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        var before = await Scrape.OfAsync(cluster, leader);

        using var client = cluster.Connect(leader);
        for (int i = 0; i < 7; i++)
            await Scrape.OkAsync(client, RequestCode.KvPut, $"k{i}", "value", 0L);
        await Scrape.OkAsync(client, RequestCode.KvDelete, "k0");
        await Scrape.OkAsync(client, RequestCode.KvDelete, "k0");
        for (int i = 0; i < 3; i++)
            await Scrape.OkAsync(client, RequestCode.KvGet, "k1", true);
        var refused = await client.CallAsync(RequestCode.KvPut, "", "value", 0L);
        Assert.Equal(StatusCode.BadArgument, refused.Status);
        var after = await Scrape.OfAsync(cluster, leader);

        Assert.Equal(7, after["pgraft_requests_total{request=\"kv_put\",outcome=\"ok\"}"]);
        Assert.Equal(1, after["pgraft_requests_total{request=\"kv_put\",outcome=\"error\"}"]);
        Assert.Equal(2, after["pgraft_requests_total{request=\"kv_delete\",outcome=\"ok\"}"]);
        Assert.Equal(3, after["pgraft_requests_total{request=\"kv_get\",outcome=\"ok\"}"]);
        Assert.Equal(10, after["pgraft_request_duration_seconds_count{kind=\"write\"}"]);
        Assert.Equal(3, after["pgraft_request_duration_seconds_count{kind=\"read\"}"]);
        Assert.Equal(9, after["pgraft_proposals_total{outcome=\"applied\"}"]);
        Assert.Equal(0, after["pgraft_proposals_total{outcome=\"refused\"}"]);
        Assert.Equal(9, after["pgraft_proposal_duration_seconds_count"]);
        Assert.Equal(9, after["pgraft_proposal_duration_seconds_bucket{le=\"+Inf\"}"]);
        Assert.Equal(7, after["pgraft_kv_puts_total"]);
        Assert.Equal(1, after["pgraft_kv_deletes_total"]);
        Assert.Equal(6, after["pgraft_kv_keys"]);
        Assert.Equal(6 * ("k1".Length + "value".Length), after["pgraft_kv_bytes"]);
        Assert.Equal(cluster.Host(leader).StateMachine.Kv.Revision, after["pgraft_kv_revision"]);
        Assert.Equal(9, after["pgraft_commit_index"] - before["pgraft_commit_index"]);
        Assert.Equal(9, after["pgraft_applied_index"] - before["pgraft_applied_index"]);
        Assert.Equal(9, after["pgraft_log_size"] - before["pgraft_log_size"]);
        Assert.InRange(
            after["pgraft_log_sync_duration_seconds_count"]
                - before["pgraft_log_sync_duration_seconds_count"], 1, 9);
        Assert.InRange(
            after["pgraft_apply_duration_seconds_count"]
                - before["pgraft_apply_duration_seconds_count"], 1, 9);
        Assert.InRange(after["pgraft_replication_duration_seconds_count"], 9, 40);
        Assert.True(after["pgraft_proposal_duration_seconds_sum"] > 0);
    }

    [Fact]
    [ValuesOf(
        "pgraft_log_written_bytes_total", "pgraft_peer_sent_bytes_total",
        "pgraft_peer_received_bytes_total")]
    public async Task Bytes_go_where_they_are_counted()
    {
        const int valueBytes = 4000;
        const int values = 100;
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        int follower = cluster.Running().First(id => id != leader);
        var before = await Scrape.OfAsync(cluster, leader);
        var followerBefore = await Scrape.OfAsync(cluster, follower);

        await Scrape.PutAsync(cluster, leader, values, valueBytes);

        await cluster.WaitForEqualAsync();
        var after = await Scrape.OfAsync(cluster, leader);
        var followerAfter = await Scrape.OfAsync(cluster, follower);

        const int payload = values * valueBytes;
        AssertGrew("pgraft_log_written_bytes_total", before, after, payload);
        AssertGrew("pgraft_peer_sent_bytes_total", before, after, 2 * payload);
        AssertGrew("pgraft_peer_received_bytes_total", followerBefore, followerAfter, payload);
        AssertGrew("pgraft_log_written_bytes_total", followerBefore, followerAfter, payload);
    }

    [Fact]
    [ValuesOf("pgraft_forwarded_requests_total")]
    public async Task What_a_follower_passes_on_is_counted_on_both_sides()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        int follower = cluster.Running().First(id => id != leader);

        using (var client = cluster.Connect(follower))
        {
            for (int i = 0; i < 5; i++)
                await Scrape.OkAsync(client, RequestCode.KvPut, "key", "value", 0L);
        }

        var there = await Scrape.OfAsync(cluster, leader);
        var here = await Scrape.OfAsync(cluster, follower);
        Assert.Equal(5, there["pgraft_forwarded_requests_total"]);
        Assert.Equal(0, here["pgraft_forwarded_requests_total"]);
        Assert.Equal(5, here["pgraft_requests_total{request=\"kv_put\",outcome=\"ok\"}"]);
        Assert.DoesNotContain(
            there.Samples.Keys, k => k.Contains("request=\"kv_put\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_leader_tells_of_its_followers_and_a_follower_of_none()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        int follower = cluster.Running().First(id => id != leader);
        using (var client = cluster.Connect(leader))
            await Scrape.OkAsync(client, RequestCode.KvPut, "key", "value", 0L);

        Exposition scraped = null!;
        await Eventually.TrueAsync(
            () =>
            {
                scraped = Scrape.OfAsync(cluster, leader).Result;
                return scraped.Samples.GetValueOrDefault(Peer("lag_entries", follower), -1) == 0
                    && scraped.Samples.ContainsKey(Peer("round_trip_seconds", follower));
            },
            "the follower has everything");
        Assert.Equal(1, scraped[Peer("up", follower)]);
        Assert.Equal(scraped["pgraft_log_last_index"], scraped[Peer("match_index", follower)]);
        Assert.InRange(scraped[Peer("last_contact_seconds", follower)], 0, 1);
        Assert.InRange(scraped[Peer("round_trip_seconds", follower)], 0.000001, 1);
        Assert.InRange(scraped["pgraft_lease_remaining_seconds"], 0.000001, 1);
        Assert.Equal(1, scraped["pgraft_is_leader"]);
        Assert.Equal(1, scraped["pgraft_role{role=\"leader\"}"]);
        Assert.Equal(3, scraped["pgraft_members"]);
        Assert.Equal(leader, scraped["pgraft_leader_id"]);
        Assert.True(scraped["pgraft_heartbeats_sent_total"] > 0);

        var other = await Scrape.OfAsync(cluster, follower);
        Assert.Equal(0, other["pgraft_is_leader"]);
        Assert.Equal(1, other["pgraft_role{role=\"follower\"}"]);
        Assert.Equal(leader, other["pgraft_leader_id"]);
        Assert.True(other["pgraft_peer_messages_total"] > 0);
        Assert.DoesNotContain(
            other.Samples.Keys, k => k.Contains("{peer=", StringComparison.Ordinal));
    }

    [Fact]
    [ValuesOf("pgraft_role_changes_total")]
    public async Task An_election_is_counted_and_remembered_with_its_cause()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int first = await cluster.WaitForLeaderAsync();
        var before = await Scrape.OfAsync(cluster, first);
        Assert.Equal(1, before["pgraft_elections_won_total"]);

        await cluster.StopNodeAsync(first);
        int second = await cluster.WaitForLeaderAsync();

        var after = await Scrape.OfAsync(cluster, second);
        Assert.Equal(1, after["pgraft_elections_won_total"]);
        Assert.True(after["pgraft_elections_started_total"] >= 1);
        Assert.True(after["pgraft_term"] > before["pgraft_term"]);
        Assert.Equal(0, after["pgraft_leaderships_lost_total"]);
        var history = (await cluster.CallAsync(second, RequestCode.History)).Rows;
        var won = history[^1];
        Assert.Equal("leader", won[1]);
        Assert.Equal((long)after["pgraft_term"], won[2]);
        Assert.Equal(second, won[3]);
        Assert.Equal("this node won the election", won[4]);
        Assert.Equal(history.Length, after["pgraft_role_changes_total"]);
        Assert.Equal("the node started", history[0][4]);
        Assert.InRange(
            (long)won[0]!,
            DateTimeOffset.UtcNow.AddMinutes(-1).ToUnixTimeMilliseconds(),
            DateTimeOffset.UtcNow.ToUnixTimeMilliseconds());
        int other = cluster.Running().First(id => id != second);
        await Eventually.TrueAsync(
            () => cluster.CallAsync(other, RequestCode.History).Result.Rows
                .Any(r => r[4] is string cause && cause == $"node {second} leads"),
            "the other has noted who leads");
    }

    [Fact]
    [ValuesOf("pgraft_lease_expirations_total", "pgraft_leaderships_lost_total")]
    public async Task A_leader_that_loses_the_majority_has_lost_its_lease()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();

        foreach (int id in cluster.Running().Where(id => id != leader).ToArray())
            await cluster.StopNodeAsync(id);

        await Eventually.TrueAsync(
            () => cluster.Statuses[leader - 1].Last.Node.Role != NodeRole.Leader,
            "the leader gives up");
        var scraped = await Scrape.OfAsync(cluster, leader);
        Assert.Equal(1, scraped["pgraft_leaderships_lost_total"]);
        Assert.Equal(1, scraped["pgraft_lease_expirations_total"]);
        Assert.Equal(0, scraped["pgraft_leader_id"]);
        var causes = (await cluster.CallAsync(leader, RequestCode.History)).Rows.Select(r => r[4]);
        Assert.Contains("a majority of the members did not answer", causes);
    }

    [Fact]
    public async Task A_snapshot_is_counted_with_its_size()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        using (var client = cluster.Connect(leader))
        {
            await Scrape.OkAsync(client, RequestCode.KvPut, "key", new string('v', 4000), 0L);
            await Scrape.OkAsync(client, RequestCode.Snapshot);
        }

        var scraped = await Scrape.OfAsync(cluster, leader);

        Assert.Equal(1, scraped["pgraft_snapshot_duration_seconds_count"]);
        Assert.Equal(scraped["pgraft_applied_index"], scraped["pgraft_snapshot_index"]);
        Assert.InRange(scraped["pgraft_snapshot_bytes"], 4000, 6000);
        Assert.True(scraped["pgraft_storage_bytes"] > scraped["pgraft_snapshot_bytes"]);
        Assert.True(scraped["pgraft_disk_size_bytes"] > scraped["pgraft_disk_free_bytes"]);
    }

    [Fact]
    [ValuesOf("pgraft_info", "pgraft_start_time_seconds")]
    public async Task The_process_is_told_of()
    {
        await using var host = await HttpHost.StartAsync();
        double start = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

        var scraped = await Scrape.OfAsync(host);

        Assert.InRange(scraped["process_resident_memory_bytes"], 10e6, 4e9);
        Assert.True(scraped["process_cpu_seconds_total"] > 0);
        Assert.True(scraped["pgraft_runtime_managed_bytes"] > 0);
        Assert.InRange(scraped["pgraft_start_time_seconds"], start - 60, start + 1);
        Assert.Equal(
            1, scraped["pgraft_info{version=\"1.0\",cluster_id=\"test\",node_id=\"1\"}"]);
        Assert.Equal(1, scraped["pgraft_worker_state{state=\"running\"}"]);
        Assert.Equal(0, scraped["pgraft_worker_state{state=\"error\"}"]);
    }

    private static string Peer(string metric, int node) => string.Create(
        CultureInfo.InvariantCulture, $"pgraft_peer_{metric}{{peer=\"{node}\"}}");

    // Heartbeats and heads come on top of what was written.
    private static void AssertGrew(
        string name, Exposition before, Exposition after, int expected) =>
        Assert.InRange(after[name] - before[name], expected, expected * 1.2);
}
