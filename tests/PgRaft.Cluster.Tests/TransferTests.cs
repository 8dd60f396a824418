// Leadership that goes from one real server to another on purpose: how long writes wait, that none
// fails or is lost, that nobody but one ever claims to lead, and what is refused.
//
// Threading: the tests share one cluster and run one after the other.

using System.Diagnostics;
using System.Text.RegularExpressions;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class TransferTests : ServerTest, IClassFixture<SharedCluster>
{
    private static readonly TimeSpan ElectionTimeout = TimeSpan.FromSeconds(1);

    private readonly TestCluster _cluster;

    public TransferTests(SharedCluster shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    [Fact]
    public async Task Leadership_goes_back_and_forth_under_load_and_no_write_fails()
    {
        await using var load = new PutTimeline(_cluster.Servers);
        await load.GoesOnAsync();
        var took = new List<double>();
        var gaps = new List<double>();
        while (took.Count < 10)
        {
            var leader = await _cluster.LeaderAsync();
            var start = Stopwatch.GetTimestamp();
            var isDone = await TryTransferAsync(leader, Next(leader));
            var time = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            await load.GoesOnAsync();
            gaps.Add(load.LongestGap(start).TotalMilliseconds);
            took.AddRange(isDone ? [time] : []);
        }

        await load.StopAsync();
        Note($"calls in ms: {Show(took)}; longest gaps between puts in ms: {Show(gaps)}; "
            + $"{load.Acknowledged} puts");
        Assert.Empty(load.Failures);
        Assert.True(gaps.Max() < ElectionTimeout.TotalMilliseconds * 1.5, Show(gaps));
        foreach (var server in _cluster.Servers)
        {
            Assert.Equal(load.Acknowledged, await load.CountOnAsync(server));
        }

        await _cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task A_clean_stop_of_the_leader_costs_no_election_timeout()
    {
        var gaps = new List<double>();
        for (var round = 0; round < 5; round++)
        {
            var leader = await _cluster.LeaderAsync();
            await using var load = new PutTimeline(_cluster.Servers.Where(s => s != leader), 3);
            await load.GoesOnAsync();
            var start = Stopwatch.GetTimestamp();
            await leader.StopAsync();
            await load.GoesOnAsync();
            gaps.Add(load.LongestGap(start).TotalMilliseconds);
            await load.StopAsync();
            Note($"longest gaps in ms: {Show(gaps)}; {string.Join("; ", load.Failures)}");
            Assert.Empty(load.Failures);
            await leader.StartAsync();
            await _cluster.AgreedStateAsync();
        }

        // Without a handover it is never less than an election timeout.
        Assert.True(gaps.Order().ElementAt(2) < ElectionTimeout.TotalMilliseconds / 2, Show(gaps));
        Assert.True(gaps.Max() < ElectionTimeout.TotalMilliseconds * 1.5, Show(gaps));
    }

    // It hands over, and its successor removes it: the history and the logs say nothing else.
    [Fact]
    public async Task Removing_the_leader_under_load_costs_no_election_timeout()
    {
        var gaps = new List<double>();
        for (var round = 0; round < 5; round++)
        {
            var leader = await _cluster.LeaderAsync();
            var others = _cluster.Servers.Where(s => s != leader).ToArray();
            var complaints = Complaints();
            await using var load = new PutTimeline(others, 3);
            await load.GoesOnAsync();
            var start = Stopwatch.GetTimestamp();
            await Members.RemoveAsync(leader, leader.NodeId);
            await load.GoesOnAsync();
            gaps.Add(load.LongestGap(start).TotalMilliseconds);
            await load.StopAsync();
            Note($"longest gaps in ms: {Show(gaps)}; {string.Join("; ", load.Failures)}");
            Assert.Empty(load.Failures);
            var next = await Members.LeaderAsync(_cluster);
            await HistoryEndsAsync(
                next, "candidate|the leader handed over to this node",
                "leader|this node won the election");
            Assert.Equal(complaints, Complaints());
            Assert.Equal(others.Select(s => s.NodeId), await Members.IdsAsync(next));
            Assert.Equal("REMOVED", await leader.WorkerStateAsync());
            await HistoryEndsAsync(
                leader, "passive|the node is not a voter of the configuration");
            Assert.Contains(
                "this node gave up leadership to hand it over",
                await leader.RowsAsync("SELECT cause FROM pgraft.history"));
            await Members.AddAsync(next, leader);
            Assert.Equal(load.Acknowledged, await load.CountOnAsync(leader));
        }

        await _cluster.AgreedStateAsync();

        // Without a handover it is never less than an election timeout.
        Assert.True(gaps.Order().ElementAt(2) < ElectionTimeout.TotalMilliseconds / 2, Show(gaps));
        Assert.True(gaps.Max() < ElectionTimeout.TotalMilliseconds * 1.5, Show(gaps));
    }

    [Fact]
    public async Task The_old_leader_has_ended_its_claim_when_the_new_one_makes_its_own()
    {
        for (var round = 0; round < 5; round++)
        {
            var leader = await _cluster.LeaderAsync();
            await Poll.UntilAsync(
                "the lease", () => leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
            var sampling = await LeadershipSampler.StartAsync(leader);
            var clock = Stopwatch.StartNew();
            var transfer = Poll.UntilAsync(
                "a transfer", () => TryTransferAsync(leader, Next(leader)));
            var takeover = await Takeover.AwaitAsync(_cluster, leader, clock);
            takeover.ComesAfter(await sampling);
            await transfer;
        }
    }

    [Fact]
    public async Task A_frozen_target_leaves_the_leader_leading_and_writes_go_on()
    {
        var leader = await _cluster.LeaderAsync();
        var target = Next(leader);
        await using var load = new PutTimeline(_cluster.Servers.Where(s => s != target));
        await load.GoesOnAsync();
        await using var frozen = await Freezer.ProcessesAsync(target.WorkerPid);
        var start = Stopwatch.GetTimestamp();

        var error = await Assert.ThrowsAsync<PostgresException>(
            () => TransferAsync(leader, target));
        var cancelled = await leader.ErrorOfAsync(
            "SET statement_timeout = '300ms'; "
            + $"SELECT pgraft_transfer_leadership({target.NodeId})");

        Note($"{error.SqlState} {error.MessageText} {error.Detail}; {cancelled.SqlState}");
        Assert.Equal("40001", error.SqlState);
        Assert.Contains(cancelled.SqlState, (string[])["57014", "55000"]);
        await load.GoesOnAsync();
        await load.StopAsync();
        Assert.Empty(load.Failures);
        Assert.True(
            load.LongestGap(start) < ElectionTimeout * 1.5, $"{load.LongestGap(start)}");
        Assert.True(await leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        await frozen.ThawAsync();
        await _cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task What_makes_no_sense_is_refused_with_its_reason()
    {
        var leader = await _cluster.LeaderAsync();
        var follower = Next(leader);

        var elsewhere = await follower.ErrorOfAsync("SELECT pgraft_transfer_leadership()");
        var stranger = await leader.ErrorOfAsync("SELECT pgraft_transfer_leadership(9)");
        Assert.Equal("55000", elsewhere.SqlState);
        Assert.Equal(
            "pgraft: cannot transfer leadership - this node is not the leader",
            elsewhere.MessageText);
        Assert.Equal(
            $"Run it on the leader: node {leader.NodeId} at 127.0.0.1:{leader.RaftPort}.",
            elsewhere.Hint);
        Assert.Equal("22023", stranger.SqlState);
        Assert.Equal("pgraft: node 9 is not a member of the cluster", stranger.MessageText);

        // It leads already: nothing happens.
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");
        Assert.True(await TransferAsync(leader, leader));
        Assert.Equal(term, await leader.ScalarAsync<long>("SELECT pgraft_get_term()"));

        await follower.StopAsync();
        await Poll.UntilAsync(
            "the stopped one to be missed",
            async () =>
            {
                var refusal = await leader.ErrorOfAsync(
                    $"SELECT pgraft_transfer_leadership({follower.NodeId})");
                return refusal.SqlState == "55000"
                    && refusal.MessageText == $"pgraft: node {follower.NodeId} does not answer";
            });

        // To the other, then, which is the best there is.
        Assert.True(await leader.ScalarAsync<bool>("SELECT pgraft_transfer_leadership()"));
        Assert.Equal(Next(follower), await _cluster.LeaderAsync());
        await follower.StartAsync();
        await _cluster.AgreedStateAsync();
    }

    private static Task<bool> TransferAsync(TestServer from, TestServer to)
    {
        return from.ScalarAsync<bool>("SELECT pgraft_transfer_leadership($1)", to.NodeId);
    }

    // False when the target did not make it in time, as it may not on a busy machine.
    private static async Task<bool> TryTransferAsync(TestServer from, TestServer to)
    {
        try
        {
            return await TransferAsync(from, to);
        }
        catch (PostgresException e) when (e.SqlState == "40001")
        {
            Note(e.MessageText);
            return false;
        }
    }

    // Roles and causes, the newest last.
    private static async Task HistoryEndsAsync(TestServer server, params string[] changes)
    {
        var history = await server.RowsAsync(
            "SELECT role, cause FROM pgraft.history ORDER BY changed_at, term");
        Assert.Equal(changes, history.TakeLast(changes.Length));
    }

    // How often any member has said that it misses a leader or a majority.
    private int Complaints()
    {
        return _cluster.Servers.Sum(s => Regex.Count(
            s.Log(), "election timeout: node|failed to replicate to a majority"));
    }

    private TestServer Next(TestServer server)
    {
        return _cluster[(server.NodeId % 3) + 1];
    }

    private static string Show(IEnumerable<double> milliseconds)
    {
        return string.Join(", ", milliseconds.Select(
            m => m.ToString("F0", System.Globalization.CultureInfo.InvariantCulture)));
    }
}
