// Metrics of requests and of the node's state against a node whose answers the test decides, and of
// outcomes that are not known against real nodes without a majority.
using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;
using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Cluster;
using PgRaft.Server.Tests.Fakes;
using PgRaft.Server.Tests.Http;

using Xunit;

namespace PgRaft.Server.Tests.Metrics;

public class RequestMetricTests
{
    [Fact]
    [ValuesOf("pgraft_requests_pending", "pgraft_request_connections")]
    public async Task Requests_and_connections_are_counted_while_they_are_there()
    {
        const int clients = 5;
        const int waiting = 3;
        var gate = Eventually.NewSignal();
        await using var host = await HttpHost.StartAsync();
        var node = host.Node;
        node.OnPropose = async (command, term, token) =>
        {
            var copy = command.ToArray();
            await gate.Task.WaitAsync(token);
            return await node.ApplyAsync(copy, term, token);
        };
        var open = Enumerable.Range(0, clients).Select(_ => host.Host.Connect()).ToArray();
        var calls = open.Take(waiting)
            .Select(c => c.CallAsync(RequestCode.KvPut, "key", "value", 0L)).ToArray();

        await ShowsAsync(host, pending: waiting, connections: clients);
        gate.SetResult();
        await Task.WhenAll(calls);
        await ShowsAsync(host, pending: 0, connections: clients);
        open[0].Dispose();
        open[1].Dispose();
        await ShowsAsync(host, pending: 0, connections: clients - 2);
        foreach (var client in open)
            client.Dispose();
        await ShowsAsync(host, pending: 0, connections: 0);
    }

    [Fact]
    [ValuesOf("pgraft_requests_total", "pgraft_proposals_total")]
    public async Task What_is_not_known_counts_as_not_known_and_what_was_refused_as_refused()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        using var client = cluster.Connect(leader);
        long term = cluster.Node(leader).Status.Term;
        for (int i = 0; i < 3; i++)
            await Scrape.OkAsync(client, RequestCode.LogAppend, term, "data");
        for (int i = 0; i < 2; i++)
        {
            var early = await client.CallAsync(RequestCode.LogAppend, term + 1, "data");
            Assert.Equal(StatusCode.NotDone, early.Status);
        }

        foreach (int id in cluster.Running().Where(id => id != leader).ToArray())
            await cluster.StopNodeAsync(id);
        var lost = await client.CallWithinAsync(RequestCode.KvPut, 300, "key", "value", 0L);
        Assert.Equal(StatusCode.OutcomeUnknown, lost.Status);

        var scraped = await Scrape.OfAsync(cluster, leader);
        Assert.Equal(3, scraped["pgraft_requests_total{request=\"log_append\",outcome=\"ok\"}"]);
        Assert.Equal(
            2, scraped["pgraft_requests_total{request=\"log_append\",outcome=\"error\"}"]);
        Assert.Equal(1, scraped["pgraft_requests_total{request=\"kv_put\",outcome=\"unknown\"}"]);
        Assert.Equal(3, scraped["pgraft_proposals_total{outcome=\"applied\"}"]);
        Assert.Equal(2, scraped["pgraft_proposals_total{outcome=\"refused\"}"]);
        Assert.Equal(1, scraped["pgraft_proposals_total{outcome=\"unknown\"}"]);
    }

    [Fact]
    [ValuesOf("pgraft_kv_compacted_revision")]
    public async Task The_compacted_revision_follows_the_threshold()
    {
        const int threshold = 20;
        const int puts = 50;
        await using var cluster = await HostCluster.StartAsync(isFounded: true, o => o with
        {
            Runtime = o.Runtime with { CompactionThresholdRevisions = threshold },
        });
        int leader = await cluster.WaitForLeaderAsync();
        Assert.Equal(0, (await Scrape.OfAsync(cluster, leader))["pgraft_kv_compacted_revision"]);

        await Scrape.PutAsync(cluster, leader, puts);

        // A tenth of the threshold may pile up.
        var scraped = await Eventually.GetAsync(
            () => Scrape.OfAsync(cluster, leader),
            s => s["pgraft_kv_revision"] - s["pgraft_kv_compacted_revision"] < threshold + 2,
            "history is compacted");
        Assert.Equal(puts, scraped["pgraft_kv_revision"]);
        Assert.InRange(
            scraped["pgraft_kv_compacted_revision"], puts - threshold - 1, puts - threshold);
    }

    [Fact]
    [ValuesOf("pgraft_up", "pgraft_worker_state")]
    public async Task A_node_that_has_failed_is_down()
    {
        await using var host = await HttpHost.StartAsync();
        await StateAsync(host, "running", isUp: true);

        host.Node.Fail(new PgraftException(StatusCode.IoError, "the disk is gone"));

        await StateAsync(host, "error", isUp: false);
    }

    // Each number is another, so that none can be shown in the place of another one.
    [Fact]
    [ValuesOf("pgraft_lease_remaining_seconds", "pgraft_is_leader", "pgraft_role",
        "pgraft_members", "pgraft_leader_id")]
    public async Task What_the_node_says_of_itself_is_what_is_shown()
    {
        const double leaseSeconds = 500;
        await using var host = await HttpHost.StartAsync();
        long leaseBegan = NowNs();
        host.Node.Status = new NodeStatus
        {
            Role = NodeRole.Leader,
            Term = 11,
            LeaderId = 1,
            LeaseDeadlineNs = leaseBegan + (long)(leaseSeconds * 1e9),
            Members = 5,
            FirstIndex = 101,
            LastIndex = 220,
            CommitIndex = 218,
            AppliedIndex = 217,
            SnapshotIndex = 150,
            SnapshotTerm = 9,
            SnapshotBytes = 12_345,
            DiskBytes = 67_890,
            MessagesProcessed = 71,
            HeartbeatsSent = 72,
            ElectionsTriggered = 73,
        };

        var scraped = await Scrape.OfAsync(host);

        foreach (var (sample, value) in new (string, double)[]
        {
            ("pgraft_term", 11), ("pgraft_leader_id", 1), ("pgraft_is_leader", 1),
            ("pgraft_role{role=\"leader\"}", 1), ("pgraft_role{role=\"follower\"}", 0),
            ("pgraft_members", 5), ("pgraft_log_first_index", 101), ("pgraft_log_last_index", 220),
            ("pgraft_log_size", 120), ("pgraft_commit_index", 218), ("pgraft_applied_index", 217),
            ("pgraft_snapshot_index", 150), ("pgraft_snapshot_bytes", 12_345),
            ("pgraft_storage_bytes", 67_890), ("pgraft_peer_messages_total", 71),
            ("pgraft_heartbeats_sent_total", 72), ("pgraft_elections_started_total", 73),
        })
        {
            Assert.Equal((sample, value), (sample, scraped[sample]));
        }

        double left = leaseSeconds - ((NowNs() - leaseBegan) / 1e9);
        Assert.InRange(scraped["pgraft_lease_remaining_seconds"], left, leaseSeconds);

        host.Node.Follow(4);
        var follower = await Scrape.OfAsync(host);
        Assert.Equal(4, follower["pgraft_leader_id"]);
        Assert.Equal(0, follower["pgraft_is_leader"]);
        Assert.Equal(1, follower["pgraft_role{role=\"follower\"}"]);
        Assert.Equal(0, follower["pgraft_role{role=\"leader\"}"]);
        Assert.Equal(0, follower["pgraft_lease_remaining_seconds"]);
    }

    // The clock of deadlines.
    private static long NowNs() => LeaderLease.ToNs(TimeProvider.System.GetTimestamp());

    private static async Task StateAsync(HttpHost host, string state, bool isUp)
    {
        var scraped = await Eventually.GetAsync(
            () => Scrape.OfAsync(host),
            s => s[$"pgraft_worker_state{{state=\"{state}\"}}"] == 1,
            $"the worker is {state}");
        Assert.Equal(isUp ? 1 : 0, scraped["pgraft_up"]);
        Assert.Equal(1, scraped.Samples
            .Where(s => s.Key.StartsWith("pgraft_worker_state", StringComparison.Ordinal))
            .Sum(s => s.Value));
    }

    private static Task<Exposition> ShowsAsync(HttpHost host, int pending, int connections) =>
        Eventually.GetAsync(
            () => Scrape.OfAsync(host),
            s => s["pgraft_requests_pending"] == pending
                && s["pgraft_request_connections"] == connections,
            $"{pending} requests, {connections} connections");
}
