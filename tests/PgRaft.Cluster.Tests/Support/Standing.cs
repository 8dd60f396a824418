// Who leads, in which term, and how often that has changed, as every member says: compared before
// and after, whether a cluster was left in peace.
//
// Threading: no state. Failure: as the statements'.

using System.Globalization;

namespace PgRaft.Cluster.Tests.Support;

/// <param name="Members">Node id, term, leader and number of changes, one member each.</param>
/// <param name="Elections">Elections that the members have begun.</param>
/// <param name="Snapshots">Index of each member's snapshot, in the order of the members.</param>
internal sealed record Standing(
    IReadOnlyList<string> Members, long Elections, IReadOnlyList<long> Snapshots)
{
    public static async Task<Standing> OfAsync(TestCluster cluster)
    {
        const string Query = "SELECT concat_ws('|', s.node_id, s.current_term, s.leader_id, "
            + "(SELECT count(*) FROM pgraft.history), s.elections_triggered, l.snapshot_index) "
            + "FROM pgraft_get_cluster_status() s, pgraft_log_get_stats() l";
        var rows = await Task.WhenAll(cluster.Servers.Select(s => s.ScalarAsync<string>(Query)));
        var fields = rows.Select(r => r.Split('|')).ToArray();
        return new Standing(
            [.. fields.Select(f => $"node {f[0]}: term {f[1]}, leader {f[2]}, {f[3]} changes")],
            fields.Sum(f => long.Parse(f[4], CultureInfo.InvariantCulture)),
            [.. fields.Select(f => long.Parse(f[5], CultureInfo.InvariantCulture))]);
    }
}
