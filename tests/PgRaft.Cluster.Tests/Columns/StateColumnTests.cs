// What views and status functions say of a healthy cluster against what was done to it: a known
// number of puts, reads, requests, elections.
//
// Threading: the tests share one cluster and run one after the other.

using System.Globalization;
using System.Text.Json;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests.Columns;

public sealed class StateColumnTests : ServerTest, IClassFixture<SharedCluster>
{
    private const string ClusterStatus = "pgraft_get_cluster_status()";

    private readonly TestCluster _cluster;

    public StateColumnTests(SharedCluster shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    [Fact]
    [ValuesOf(
        "pgraft.kv", "total_keys", "total_size", "revision", "puts", "deletes", "gets", "leases",
        "watchers")]
    public async Task The_store_counts_what_was_written_and_each_member_what_it_was_asked()
    {
        string[] columns =
            ["total_keys", "total_size", "revision", "puts", "deletes", "leases", "watchers"];
        var leader = await _cluster.LeaderAsync();
        var follower = await _cluster.FollowerAsync();
        await _cluster.AgreedStateAsync();
        var before = await Numbers.OfAsync(leader, "pgraft.kv", columns);
        var leaderGets = await Numbers.OfAsync(leader, "pgraft.kv", "gets");
        var followerGets = await Numbers.OfAsync(follower, "pgraft.kv", "gets");

        for (var i = 0; i < 5; i++)
        {
            await follower.PutAsync($"kv/{i}", "abc");
        }

        Assert.True(await leader.ScalarAsync<bool>("SELECT pgraft_kv_delete('kv/0')"));
        Assert.False(await leader.ScalarAsync<bool>("SELECT pgraft_kv_delete('kv/0')"));
        await leader.ExecuteAsync("SELECT pgraft_kv_get('kv/1') FROM generate_series(1, 7)");
        await follower.GetAsync("kv/1", "local");
        await _cluster.AgreedStateAsync();

        // 4 keys of 4 bytes with 3 bytes each; a delete that finds nothing is no revision.
        const string Grown = "total_keys 4, total_size 28, revision 6, puts 5, deletes 1, "
            + "leases 0, watchers 0";
        foreach (var server in _cluster.Servers)
        {
            var after = await Numbers.OfAsync(server, "pgraft.kv", columns);
            Assert.Equal(Grown, after.Since(before));
            Assert.Equal((0, 0), (after["leases"], after["watchers"]));
        }

        Assert.Equal(
            "gets 7", (await Numbers.OfAsync(leader, "pgraft.kv", "gets")).Since(leaderGets));
        Assert.Equal(
            "gets 1", (await Numbers.OfAsync(follower, "pgraft.kv", "gets")).Since(followerGets));
    }

    [Fact]
    [ValuesOf("pgraft_get_queue_status", "processed_msgs")]
    public async Task Requests_are_counted_where_they_were_made()
    {
        const string Queue = "pgraft_get_queue_status()";
        var leader = await _cluster.LeaderAsync();
        var follower = await _cluster.FollowerAsync();
        var other = _cluster.Servers.First(s => s != leader && s != follower);
        await _cluster.AgreedStateAsync();
        var before = await Numbers.OfAsync(follower, Queue, "processed_msgs");
        var elsewhere = await Numbers.OfAsync(other, Queue, "processed_msgs");

        await follower.ExecuteAsync("SELECT pgraft_kv_exists('q') FROM generate_series(1, 4)");
        Assert.Equal("22023", (await follower.ErrorOfAsync("SELECT pgraft_kv_get('')")).SqlState);

        Assert.Equal(
            "processed_msgs 5",
            (await Numbers.OfAsync(follower, Queue, "processed_msgs")).Since(before));
        Assert.Equal(
            "processed_msgs 0",
            (await Numbers.OfAsync(other, Queue, "processed_msgs")).Since(elsewhere));
    }

    [Fact]
    [ValuesOf("pgraft.nodes", "node_id", "address", "port", "is_leader")]
    [ValuesOf("pgraft.member_list", "node_id", "address", "port", "is_leader")]
    [ValuesOf("pgraft_get_nodes_from_raft")]
    [ValuesOf("pgraft_get_leader")]
    [ValuesOf("pgraft_is_leader")]
    [ValuesOf("pgraft_get_worker_state")]
    [ValuesOf("pgraft_get_version")]
    public async Task Every_member_knows_the_members_and_who_leads()
    {
        var leader = await _cluster.LeaderAsync();
        var members = _cluster.Servers.Select(s => string.Create(
            CultureInfo.InvariantCulture, $"{s.NodeId}|127.0.0.1|{s.RaftPort}|{s == leader}"));
        var version = (await File.ReadAllLinesAsync(
            Path.Combine(TestRun.Top, "pgraft.control"), TestContext.Current.CancellationToken))
            .Single(l => l.StartsWith("default_version", StringComparison.Ordinal)).Split('\'')[1];
        foreach (var server in _cluster.Servers)
        {
            foreach (var view in (string[])["pgraft.nodes", "pgraft.member_list"])
            {
                Assert.Equal(members, await server.RowsAsync(
                    $"SELECT node_id, address, port, is_leader FROM {view} ORDER BY node_id"));
            }

            var json = await server.ScalarAsync<string>("SELECT pgraft_get_nodes_from_raft()");
            Assert.Equal(members, InJson(json));
            Assert.Equal(leader.NodeId, await server.LeaderAsync());
            Assert.Equal(
                server == leader, await server.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
            Assert.Equal("RUNNING", await server.WorkerStateAsync());
            Assert.Equal(
                version, await server.ScalarAsync<string>("SELECT pgraft_get_version()"));
        }
    }

    [Fact]
    [ValuesOf(
        "pgraft_get_cluster_status", "node_id", "current_term", "leader_id", "state", "num_nodes",
        "elections_triggered")]
    [ValuesOf("pgraft.health", "term", "role")]
    [ValuesOf("pgraft_health_check", "term")]
    [ValuesOf("pgraft_get_term")]
    public async Task A_transfer_is_a_term_and_an_election_of_who_leads_then()
    {
        var old = await _cluster.LeaderAsync();
        var next = await _cluster.FollowerAsync();
        var before = new Dictionary<TestServer, Numbers>();
        foreach (var server in _cluster.Servers)
        {
            before[server] = await StatusAsync(server);
        }

        Assert.True(await old.ScalarAsync<bool>(
            "SELECT pgraft_transfer_leadership($1)", next.NodeId));
        Assert.Equal(next, await _cluster.LeaderAsync());

        foreach (var server in _cluster.Servers)
        {
            var after = await StatusAsync(server);
            var elections = server == next ? 1 : 0;
            var role = server == next ? "leader" : "follower";
            Assert.Equal(
                $"current_term 1, elections_triggered {elections}", after.Since(before[server]));
            var term = after["current_term"];
            Assert.Equal(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{server.NodeId}|{next.NodeId}|{role}|3|{term}|{term}|{role}|{term}"),
                Assert.Single(await server.RowsAsync(
                    "SELECT node_id, leader_id, state, num_nodes, pgraft_get_term(), term, role, "
                    + "pgraft_health_check()->>'term' "
                    + $"FROM (SELECT node_id, leader_id, state, num_nodes FROM {ClusterStatus}) s, "
                    + "(SELECT term, role FROM pgraft.health) h")));
        }
    }

    // Nothing else is sent while nothing is written; when something is, it is no heartbeat.
    [Fact]
    [ValuesOf("pgraft_get_cluster_status", "messages_processed", "heartbeats_sent")]
    public async Task What_arrives_is_the_heartbeats_and_the_entries_that_were_sent()
    {
        const int Heartbeats = 40;
        const int Puts = 50;
        const int UnderWay = 6;
        await _cluster.AgreedStateAsync();
        var leader = await _cluster.LeaderAsync();

        var (sent, arrived) = await TrafficAsync(leader, async before =>
            await Poll.UntilAsync(
                "heartbeats go on", () => SentAsync(leader), s => s >= before + Heartbeats));
        Note($"idle: {sent} sent, {arrived} arrived");
        Assert.InRange(arrived, sent - UnderWay, sent + UnderWay);

        (sent, arrived) = await TrafficAsync(leader, _ => leader.ExecuteAsync(
            $"SELECT pgraft_kv_put('t', 'v') FROM generate_series(1, {Puts})"));
        Note($"busy: {sent} sent, {arrived} arrived");
        Assert.InRange(arrived - sent, Puts - UnderWay, (2 * Puts) + UnderWay);
    }

    [Fact]
    [ValuesOf(
        "pgraft.endpoint_status", "node_id", "version", "term", "applied_index", "revision",
        "state_hash")]
    [ValuesOf("pgraft_get_applied_index")]
    [ValuesOf(
        "pgraft_backup_info", "cluster_id", "log_index", "term", "revision", "state_hash",
        "taken_at", "node_id", "version", "size_bytes")]
    public async Task A_backup_and_all_members_have_the_state_that_was_written()
    {
        await _cluster.AgreedStateAsync();
        var server = _cluster[1];
        var earlier = await _cluster.AgreedStateAsync();
        var revision = await server.ScalarAsync<long>("SELECT revision FROM pgraft.kv");
        await server.PutAsync("state", "another");
        var agreed = (await _cluster.AgreedStateAsync()).Split(' ');
        Assert.NotEqual(earlier.Split(' ')[2], agreed[2]);
        Assert.Matches("^[0-9a-f]{32}$", agreed[2]);
        Assert.Equal(revision + 1, long.Parse(agreed[1], CultureInfo.InvariantCulture));
        foreach (var member in _cluster.Servers)
        {
            Assert.Equal(
                $"{member.NodeId}|True|True|{agreed[0]}",
                Assert.Single(await member.RowsAsync(
                    "SELECT node_id, version = pgraft_get_version(), term = pgraft_get_term(), "
                    + "pgraft_get_applied_index() FROM pgraft.endpoint_status")));
        }

        var path = Path.Combine(await TestRun.NewDirectoryAsync("backup"), "state");
        var index = await server.ScalarAsync<long>("SELECT pgraft_backup($1)", path);
        Assert.Equal(agreed[0], index.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(
            $"test-cluster|{index}|True|{agreed[1]}|{agreed[2]}|True|1|True|"
            + new FileInfo(path).Length.ToString(CultureInfo.InvariantCulture),
            Assert.Single(await server.RowsAsync(
                "SELECT cluster_id, log_index, term = pgraft_get_term(), revision, state_hash, "
                + "now() - taken_at BETWEEN '0' AND '1 minute', node_id, "
                + "version = pgraft_get_version(), size_bytes "
                + $"FROM pgraft_backup_info('{path}')")));
    }

    private static Task<Numbers> StatusAsync(TestServer server)
    {
        return Numbers.OfAsync(server, ClusterStatus, "current_term", "elections_triggered");
    }

    private static Task<long> SentAsync(TestServer leader)
    {
        return leader.ScalarAsync<long>($"SELECT heartbeats_sent FROM {ClusterStatus}");
    }

    private static Task<long> ArrivedAsync(TestServer follower)
    {
        return follower.ScalarAsync<long>($"SELECT messages_processed FROM {ClusterStatus}");
    }

    private static IEnumerable<string> InJson(string json)
    {
        using var members = JsonDocument.Parse(json);
        return [.. members.RootElement.EnumerateArray().Select(m => string.Create(
            CultureInfo.InvariantCulture,
            $"{m.GetProperty("id").GetInt32()}|{m.GetProperty("address").GetString()}|"
            + $"{m.GetProperty("port").GetInt32()}|{m.GetProperty("leader").GetBoolean()}"))];
    }

    // Heartbeats that the leader has sent meanwhile, and messages that arrived at the others.
    private async Task<(long Sent, long Arrived)> TrafficAsync(
        TestServer leader, Func<long, Task> act)
    {
        var followers = _cluster.Servers.Where(s => s != leader).ToArray();
        var sent = await SentAsync(leader);
        var arrived = await Task.WhenAll(followers.Select(ArrivedAsync));
        await act(sent);
        var arrivedThen = await Task.WhenAll(followers.Select(ArrivedAsync));
        return (await SentAsync(leader) - sent, arrivedThen.Sum() - arrived.Sum());
    }
}
