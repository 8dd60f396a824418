// A cluster's members over its life, on real servers: it grows and shrinks, the dead are replaced,
// the removed come back, members move. Each test has its own cluster, because it changes it.

using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class MembershipLifeTests : ServerTest
{
    [Fact]
    public async Task A_cluster_grows_to_seven_and_shrinks_to_one()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        for (var id = 2; id <= 7; id++)
        {
            var joiner = await cluster.AddServerAsync(id);
            await joiner.WaitForStateAsync("WAITING");
            var notices = await Members.AddAsync(cluster[1], joiner);
            AssertSizeNotices(notices, id);
            Assert.True(await joiner.PutAsync($"by {id}", "a new member"));
        }

        await cluster.AgreedStateAsync();
        var eighth = await cluster.AddServerAsync(8);
        await eighth.WaitForStateAsync("WAITING");
        AssertSizeNotices(await Members.AddAsync(cluster[1], eighth), 8);
        var finding = await MembersFindingAsync(cluster[1]);
        Assert.Equal(
            "8|warning|more than 7 members: every commit waits for more of them", finding);
        await Poll.UntilAsync(
            "the eighth to know", () => MembersFindingAsync(eighth), f => f == finding);

        for (var left = 7; left >= 1; left--)
        {
            // The leader itself at every other step.
            var leader = await Members.LeaderAsync(cluster);
            var goes = left % 2 == 0 ? leader : cluster.Running().Last(s => s != leader);
            AssertSizeNotices(await Members.RemoveAsync(leader, goes.NodeId), left);
            await goes.WaitForStateAsync("REMOVED");
            await goes.StopAsync();
            if (left == 7)
            {
                Assert.Equal("7", await MembersFindingAsync(await Members.LeaderAsync(cluster)));
            }
        }

        var last = Assert.Single(cluster.Running());
        Assert.Equal(last.NodeId, Assert.Single(await Members.IdsAsync(last)));
        Assert.Equal("a new member", await last.GetAsync("by 7"));
        await TestCluster.FirstWriteAsync(last, "alone");
    }

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    public async Task A_dead_member_is_replaced_under_its_id_or_another(int successorId)
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var dead = cluster.Servers.Last(s => s != leader);
        await dead.KillAsync();
        await leader.PutAsync("while", "it was dead");

        await Members.RemoveAsync(leader, dead.NodeId);
        dead.EmptyPgraftDirectory();
        dead.BecomeNode(successorId == 3 ? dead.NodeId : 4);
        await dead.StartAsync();
        await dead.WaitForStateAsync("WAITING");
        await Members.AddAsync(leader, dead);

        await dead.WaitForStateAsync("RUNNING");
        Assert.Equal("it was dead", await dead.GetAsync("while"));
        await cluster.AgreedStateAsync();
        await VoteOfCountsAsync(cluster, dead);
    }

    [Fact]
    public async Task A_removed_member_says_so_and_may_come_back_with_its_data()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var removed = cluster.Servers.Last(s => s != leader);
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");
        var early = await Assert.ThrowsAsync<PostgresException>(
            () => Members.AddAsync(leader, removed));
        Assert.Equal("55000", early.SqlState);
        Assert.Contains("is already a member", early.MessageText, StringComparison.Ordinal);
        Assert.Contains("pgraft_remove_node(", early.Hint, StringComparison.Ordinal);

        await Members.RemoveAsync(leader, removed.NodeId);

        Assert.Equal("REMOVED", await removed.WorkerStateAsync());
        await RemovedInAllAsync(removed);
        await removed.RestartAsync();
        await removed.WaitForStateAsync("REMOVED");
        await RemovedInAllAsync(removed);
        await removed.WaitForLogAsync($"node {removed.NodeId} was removed from the cluster");
        await leader.PutAsync("while", "it was away");
        Assert.Equal(term, await leader.ScalarAsync<long>("SELECT pgraft_get_term()"));

        await Members.AddAsync(leader, removed);
        await removed.WaitForStateAsync("RUNNING");
        Assert.Equal("it was away", await removed.GetAsync("while"));
        await VoteOfCountsAsync(cluster, removed);
    }

    [Fact]
    public async Task A_member_that_was_down_when_it_was_removed_learns_it_and_disturbs_nobody()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var removed = cluster.Servers.Last(s => s != leader);
        await removed.StopAsync();
        await Members.RemoveAsync(leader, removed.NodeId);
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");

        await removed.StartAsync();
        await removed.WaitForStateAsync("REMOVED");

        await RemovedInAllAsync(removed);
        Assert.Equal(leader, await Members.LeaderAsync(cluster));
        Assert.Equal(term, await leader.ScalarAsync<long>("SELECT pgraft_get_term()"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_follower_moves_before_or_after_the_cluster_is_told(bool toldFirst)
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var mover = cluster.Servers.Last(s => s != leader);
        await mover.StopAsync();
        mover.Move();
        if (toldFirst)
        {
            Assert.Empty(await Members.MoveAsync(leader, mover));
            await mover.StartAsync();
        }
        else
        {
            await mover.StartAsync();
            await mover.WaitForLogAsync(
                $"SELECT pgraft_update_node\\({mover.NodeId}, '127.0.0.1', {mover.RaftPort}\\)");
            await Members.MoveAsync(leader, mover);
        }

        await Poll.UntilAsync(
            "the member at its new place", mover.LeaderAsync, id => id == leader.NodeId);
        Assert.True(await mover.PutAsync("through", "the one that moved"));
        foreach (var server in cluster.Servers)
        {
            await KnowsPlaceAsync(server, mover);
        }

        await VoteOfCountsAsync(cluster, mover);
    }

    [Fact]
    public async Task A_leader_moves()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var oldPort = leader.RaftPort;
        leader.Move();

        await Members.MoveAsync(leader, leader);

        await leader.WaitForLogAsync(
            $"expects node {leader.NodeId} at 127.0.0.1:{leader.RaftPort}, but by its settings it "
            + $"is at 127.0.0.1:{oldPort}");
        Assert.True(await leader.PutAsync("it", "leads on"));
        await leader.RestartAsync();
        var next = await cluster.LeaderAsync();
        Assert.True(await leader.PutAsync("after", "the move"));
        await KnowsPlaceAsync(next, leader);
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task A_place_that_is_taken_is_refused()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var follower = cluster.Servers.First(s => s != leader);
        var other = cluster.Servers.Last(s => s != leader && s != follower);
        var stranger = await cluster.AddServerAsync(9);
        await stranger.WaitForStateAsync("WAITING");

        var taken = await leader.ErrorOfAsync(Move(follower, other.RaftPort));
        var strange = await leader.ErrorOfAsync(Move(follower, stranger.RaftPort));
        var unknown = await leader.ErrorOfAsync("SELECT pgraft_update_node(7, '127.0.0.1', 7001)");
        var onFollower = await follower.ErrorOfAsync(Move(follower, 7001));

        Assert.Equal("55000", taken.SqlState);
        Assert.Contains(
            $"node {other.NodeId} already has the address", taken.MessageText,
            StringComparison.Ordinal);
        Assert.Equal("55000", strange.SqlState);
        Assert.Contains("this address is node 9's", strange.Detail, StringComparison.Ordinal);
        Assert.Equal("22023", unknown.SqlState);
        Assert.Equal("55000", onFollower.SqlState);
        Assert.Contains($"node {leader.NodeId} at", onFollower.Hint, StringComparison.Ordinal);
        await KnowsPlaceAsync(leader, follower);
        Assert.Empty(await Members.MoveAsync(leader, follower));
    }

    private static string Move(TestServer server, int port)
    {
        return FormattableString.Invariant(
            $"SELECT pgraft_update_node({server.NodeId}, '127.0.0.1', {port})");
    }

    private static bool IsAbout(PostgresNotice notice, string words)
    {
        return notice.MessageText.Contains(words, StringComparison.Ordinal);
    }

    private static void AssertSizeNotices(IReadOnlyList<PostgresNotice> notices, int members)
    {
        Assert.All(notices, n => Assert.Equal("NOTICE", n.Severity));
        var even = notices.Where(n => IsAbout(n, "an even number")).ToArray();
        var large = notices.Where(n => IsAbout(n, "more than 7")).ToArray();
        Assert.Equal(members % 2 == 0 ? 1 : 0, even.Length);
        Assert.Equal(members > 7 ? 1 : 0, large.Length);
        foreach (var notice in notices)
        {
            Assert.StartsWith(
                $"pgraft: the cluster has {members} members, ", notice.MessageText,
                StringComparison.Ordinal);
            Assert.Contains("3, 5 or 7", notice.Hint, StringComparison.Ordinal);
        }
    }

    private static Task<string> MembersFindingAsync(TestServer server)
    {
        return server.ScalarAsync<string>(
            "SELECT concat_ws('|', value, severity, finding) FROM pgraft.settings_check "
            + "WHERE name = 'members'");
    }

    private static async Task RemovedInAllAsync(TestServer removed)
    {
        Assert.False(await removed.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        Assert.Equal(0, await removed.LeaderAsync());
        Assert.Equal("passive", await removed.RoleAsync());
        Assert.DoesNotContain(removed.NodeId, await Members.IdsAsync(removed));
        await RemovedInHealthAsync(removed);
        foreach (var call in (string[])["pgraft_kv_put('k', 'v')", "pgraft_kv_get('k')"])
        {
            var error = await removed.ErrorOfAsync($"SELECT {call}");
            Assert.Equal("55000", error.SqlState);
            Assert.Equal(
                "pgraft: this node was removed from the cluster", error.MessageText);
            Assert.Contains("pgraft_add_node()", error.Hint, StringComparison.Ordinal);
        }
    }

    // Its worker answers: what it knows is said, and what it cannot know is not.
    private static async Task RemovedInHealthAsync(TestServer removed)
    {
        Assert.Equal(
            "f|f|0|t|unknown|-|2|REMOVED|passive|-",
            await removed.ScalarAsync<string>(
                "SELECT concat_ws('|', healthy, is_leader, leader_id, term > 0, "
                + "coalesce(quorum::text, 'unknown'), coalesce(live_members::text, '-'), members, "
                + "worker, role, coalesce(lag::text, '-')) FROM pgraft.health"));
        Assert.True(await removed.ScalarAsync<bool>(
            "SELECT NOT may_act AND may_act_since BETWEEN pg_postmaster_start_time() AND now() "
            + "FROM pgraft.health"));
        Assert.Equal(
            "false|0|t|unknown|REMOVED",
            await removed.ScalarAsync<string>(
                "SELECT concat_ws('|', h->>'healthy', h->>'leader_id', (h->>'term')::int > 0, "
                + "h->>'quorum', h->>'worker') FROM pgraft_health_check() h"));
        Assert.Equal(
            "2|notice|this node was removed from the cluster",
            Assert.Single(await removed.RowsAsync(
                "SELECT value, severity, finding FROM pgraft.settings_check "
                + "WHERE name IN ('worker', 'members')")));
        Assert.Equal(1L, await removed.ScalarAsync<long>(
            "SELECT count(*) FROM pgraft.settings_check WHERE name = 'sync of data_dir'"));
    }

    private static async Task KnowsPlaceAsync(TestServer server, TestServer member)
    {
        await Poll.UntilAsync(
            $"node {member.NodeId}'s place as node {server.NodeId} knows it",
            () => server.ScalarAsync<int>(
                "SELECT port FROM pgraft.nodes WHERE node_id = $1", member.NodeId),
            port => port == member.RaftPort);
    }

    // With a third member dead there is no majority without it.
    private static async Task VoteOfCountsAsync(TestCluster cluster, TestServer member)
    {
        var leader = await Members.LeaderAsync(cluster);
        var third = cluster.Running().First(s => s != leader && s != member);
        await third.KillAsync();
        await TestCluster.FirstWriteAsync(member, $"with the vote of {member.NodeId}");
        await third.StartAsync();
        await cluster.AgreedStateAsync();
    }
}
