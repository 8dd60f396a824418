// Adding and removing members on real servers. Each test has its own cluster, because it changes
// it.

using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class MembershipTests : ServerTest
{
    [Fact]
    public async Task A_member_is_removed_and_another_takes_its_place()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var removed = cluster.Servers.Last(s => s != leader);
        await leader.PutAsync("before", "the change");

        Assert.True(await leader.ScalarAsync<bool>(
            "SELECT pgraft_remove_node($1)", removed.NodeId));
        Assert.Equal(2, await MembersAsync(leader));
        await removed.StopAsync();

        var added = await cluster.AddServerAsync(4);
        Assert.True(await leader.ScalarAsync<bool>(
            "SELECT pgraft_add_node(4, '127.0.0.1', $1)", added.RaftPort));
        Assert.Equal("the change", await added.GetAsync("before"));
        Assert.True(await added.PutAsync("through", "the new member"));
        Assert.Equal(3, await MembersAsync(added));
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task Removing_the_leader_hands_over_first()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();

        Assert.True(await leader.ScalarAsync<bool>("SELECT pgraft_remove_node($1)", leader.NodeId));
        await leader.StopAsync();

        var successor = await cluster.LeaderAsync();
        Assert.NotEqual(leader.NodeId, successor.NodeId);
        await TestCluster.FirstWriteAsync(successor, "after");
        Assert.Equal(2, await MembersAsync(successor));
    }

    // At once, when nobody has missed the dead one yet. Also the leader's own removal: nobody takes
    // over first, to refuse it then.
    [Fact]
    public async Task A_removal_that_would_leave_no_live_majority_is_refused()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        var dead = cluster.Servers.First(s => s != leader);
        var alive = cluster.Servers.Last(s => s != leader);
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");
        await dead.KillAsync();

        foreach (var node in (TestServer[])[alive, leader])
        {
            var error = await leader.ErrorOfAsync($"SELECT pgraft_remove_node({node.NodeId})");
            Assert.Equal("55000", error.SqlState);
            Assert.Equal(
                $"pgraft: removing node {node.NodeId} would leave the cluster without a majority",
                error.MessageText);
            Assert.Equal("Of the 2 members that would remain, 1 answers.", error.Detail);
            Assert.Equal(
                "Bring the others back, or remove those that do not answer first.", error.Hint);
        }

        Assert.Equal((int[])[1, 2, 3], await Members.IdsAsync(alive));
        Assert.True(await leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        Assert.Equal(term, await leader.ScalarAsync<long>("SELECT pgraft_get_term()"));
        Assert.True(await alive.PutAsync("after", "the refusal"));

        // As the hint says.
        await Members.RemoveAsync(leader, dead.NodeId);
        Assert.True(await alive.PutAsync("after", "the removal"));
        await Members.RemoveAsync(leader, alive.NodeId);
        Assert.Equal("the removal", await leader.GetAsync("after"));
    }

    [Fact]
    public async Task A_node_that_does_not_answer_is_not_made_a_voter()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var leader = cluster[1];

        var error = await leader.ErrorOfAsync(
            "SET pgraft.request_timeout = '2s'; "
            + $"SELECT pgraft_add_node(2, '127.0.0.1', {Ports.Next()})");

        Assert.Equal("40001", error.SqlState);
        Assert.Contains("refused", error.Detail, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(1, await MembersAsync(leader));
        Assert.True(await leader.PutAsync("still", "writable"));
    }

    [Fact]
    public async Task Wrong_changes_are_refused_with_their_reason()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var leader = cluster[1];

        var twice = await leader.ErrorOfAsync("SELECT pgraft_add_node(1, '127.0.0.1', 7001)");
        var unknown = await leader.ErrorOfAsync("SELECT pgraft_remove_node(7)");
        var badId = await leader.ErrorOfAsync("SELECT pgraft_add_node(0, '127.0.0.1', 7001)");
        var badPort = await leader.ErrorOfAsync("SELECT pgraft_add_node(2, '127.0.0.1', 70000)");

        Assert.Equal("55000", twice.SqlState);
        Assert.Contains("pgraft_remove_node(1)", twice.Hint, StringComparison.Ordinal);
        Assert.Equal("22023", unknown.SqlState);
        Assert.Equal("22023", badId.SqlState);
        Assert.Equal("22023", badPort.SqlState);
        Assert.Equal(1, await MembersAsync(leader));
    }

    [Fact]
    public async Task A_member_of_another_cluster_is_not_let_in()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var stranger = await cluster.AddServerAsync(
            2, s => s.Settings["pgraft.cluster_id"] = "'another'");

        await stranger.WaitForStateAsync("WAITING");
        var error = await cluster[1].ErrorOfAsync(
            $"SELECT pgraft_add_node(2, '127.0.0.1', {stranger.RaftPort})");

        Assert.Equal("55000", error.SqlState);
        Assert.Contains("node 2 to \"another\"", error.Detail, StringComparison.Ordinal);
        Assert.Equal(1, await MembersAsync(cluster[1]));
        Assert.Equal("WAITING", await stranger.WorkerStateAsync());
    }

    private static async Task<long> MembersAsync(TestServer server)
    {
        return await server.ScalarAsync<long>("SELECT count(*) FROM pgraft_get_nodes()");
    }
}
