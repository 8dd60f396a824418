// The documented way back for a member that has lost its memory, or must not use it: remove the
// node on the leader, stop its server, empty its data_dir, start it under a node id that nobody
// had, and add that node on the leader.
//
// Threading: the fault that has claimed the node. Failure: each step is tried again while there is
// no leader or an outcome is unknown, until the deadline; then it throws.

using Npgsql;
using PgRaft.Harness;

namespace PgRaft.Chaos.Nodes;

internal sealed class Rejoin(ChaosCluster cluster, ChaosNode node)
{
    private static readonly TimeSpan StepLimit = TimeSpan.FromSeconds(120);

    private readonly int _oldId = node.Server.NodeId;

    /// <summary>Takes the node out of the configuration.</summary>
    public Task RemoveAsync()
    {
        return Poll.UntilAsync(
            $"node {_oldId} is removed",
            () => ChangeAsync(
                members => !members.Contains(_oldId), "SELECT pgraft_remove_node($1)", _oldId),
            StepLimit);
    }

    /// <summary>Brings the server back as another node and waits until it is a member.</summary>
    public async Task ComeBackAsync()
    {
        if (node.Server.Postmaster != 0)
        {
            await node.Server.StopAsync();
        }

        node.Wipe();
        node.Server.Settings.Remove("pgraft.initial_cluster");
        node.Server.BecomeNode(cluster.NewNodeId());
        await node.StartAsync();
        await node.Server.WaitForStateAsync("WAITING", StepLimit);
        await Poll.UntilAsync(
            $"{node.Name} is added",
            () => ChangeAsync(
                members => members.Contains(node.Server.NodeId),
                "SELECT pgraft_add_node($1, $2, $3)",
                node.Server.NodeId,
                node.Server.Place.Address,
                node.Server.RaftPort),
            StepLimit);
        await node.RunningAsync();
    }

    // Whether the change is done; asks the leader for it when it is not. A read barrier first: what
    // a member that has just become leader shows may be old.
    private async Task<bool> ChangeAsync(
        Func<int[], bool> done, string change, params object[] arguments)
    {
        foreach (var candidate in Candidates())
        {
            try
            {
                await using var connection = await candidate.Server.OpenAsync();
                if (!await connection.ScalarAsync<bool>("SELECT pgraft_is_leader()"))
                {
                    continue;
                }

                await connection.ExecuteAsync("SELECT pgraft_log_sync_with_leader()");
                return done(await MembersAsync(connection))
                    || await connection.ScalarAsync<bool>(change, arguments);
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                // No longer the leader, gone, or an outcome that the next round looks up.
            }
        }

        return false;
    }

    // Removing a leader is asked of itself. Nodes in the hands of other faults may be frozen.
    private IEnumerable<ChaosNode> Candidates()
    {
        return cluster.Nodes
            .Where(n => n == node ? n.Server.Postmaster != 0 : !n.Claimed)
            .OrderBy(n => n == cluster.Leader ? 0 : 1);
    }

    private static async Task<int[]> MembersAsync(NpgsqlConnection connection)
    {
        return await connection.ScalarAsync<int[]>(
            "SELECT array_agg(node_id) FROM pgraft_get_nodes()");
    }
}
