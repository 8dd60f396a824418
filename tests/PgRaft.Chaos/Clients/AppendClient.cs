// A client that appends entries to the replicated log under the current term, as one that fences
// its writes does. Entries are of different sizes, so that the log grows by whole files and
// members that were away get snapshots.
//
// Threading: see the base class.

using Npgsql;
using PgRaft.Chaos.Checks;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;
using PgRaft.Histories;

namespace PgRaft.Chaos.Clients;

internal sealed class AppendClient(ChaosNode node, ClientPool pool, int number)
    : ChaosClient(node, pool, number)
{
    private const int LongestPadding = 24 * 1024;

    private static readonly string Padding = new('x', LongestPadding);

    protected override async Task CallAsync(NpgsqlConnection connection)
    {
        var term = await connection.ScalarAsync<long>("SELECT pgraft_get_term()");
        if (term == 0)
        {
            // A server that waits to become a member knows no term.
            return;
        }

        var value = NewValue();
        var data = $"{value}{LogAudit.ValueEnd}{Padding.AsSpan(0, Random.Next(LongestPadding))}";
        var index = 0L;
        var outcome = Outcome.Ok;
        try
        {
            index = await connection.ScalarAsync<long>(
                "SELECT pgraft_log_append($1, $2)", term, data);
            Pool.Acknowledged();
        }
        catch (Exception e) when (Outcomes.IsExpected(e))
        {
            outcome = Ended(e, "pgraft_log_append");
        }

        Pool.Audit.AppendEnded(value, outcome, index, term);
        ThrowIfBroken(connection);
    }
}
