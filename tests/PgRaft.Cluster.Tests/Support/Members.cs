// Changes of membership as an operator makes them, on whoever leads, with what the server says on
// the way.
//
// Threading: one test. Failure: as the statement's.

using Npgsql;

namespace PgRaft.Cluster.Tests.Support;

internal static class Members
{
    public static Task<IReadOnlyList<PostgresNotice>> AddAsync(
        TestServer leader, TestServer joiner)
    {
        return ChangeAsync(
            leader, "SELECT pgraft_add_node($1, $2, $3)",
            joiner.NodeId, joiner.Place.Address, joiner.RaftPort);
    }

    public static Task<IReadOnlyList<PostgresNotice>> RemoveAsync(TestServer leader, int nodeId)
    {
        return ChangeAsync(leader, "SELECT pgraft_remove_node($1)", nodeId);
    }

    public static Task<IReadOnlyList<PostgresNotice>> MoveAsync(
        TestServer leader, TestServer mover)
    {
        return ChangeAsync(
            leader, "SELECT pgraft_update_node($1, $2, $3)",
            mover.NodeId, mover.Place.Address, mover.RaftPort);
    }

    /// <summary>Makes a server and adds it; returns when it is a member.</summary>
    public static async Task<TestServer> NewAsync(TestCluster cluster, int nodeId)
    {
        var joiner = await cluster.AddServerAsync(nodeId);
        await joiner.WaitForStateAsync("WAITING");
        await AddAsync(await LeaderAsync(cluster), joiner);
        await joiner.WaitForStateAsync("RUNNING");
        return joiner;
    }

    /// <summary>The leader as most servers know it: some may not be members.</summary>
    public static async Task<TestServer> LeaderAsync(TestCluster cluster)
    {
        return await Poll.UntilAsync(
            "a server that leads",
            async () =>
            {
                foreach (var server in cluster.Running())
                {
                    if (await server.ScalarAsync<bool>("SELECT pgraft_is_leader()"))
                    {
                        return server;
                    }
                }

                return null!;
            },
            found => found is not null);
    }

    public static Task<int[]> IdsAsync(TestServer server)
    {
        return server.ScalarAsync<int[]>(
            "SELECT array_agg(node_id ORDER BY node_id) FROM pgraft_get_nodes()");
    }

    /// <summary>The rows of pgraft.replication, as node and state.</summary>
    public static Task<IReadOnlyList<string>> ReplicationAsync(TestServer server)
    {
        return server.RowsAsync("SELECT node_id, state FROM pgraft.replication ORDER BY node_id");
    }

    private static async Task<IReadOnlyList<PostgresNotice>> ChangeAsync(
        TestServer leader, string sql, params object[] arguments)
    {
        var notices = new List<PostgresNotice>();
        await using var connection = await leader.OpenAsync();
        connection.Notice += (_, e) => notices.Add(e.Notice);
        Assert.True(await connection.ScalarAsync<bool>(sql, arguments));
        return notices;
    }
}
