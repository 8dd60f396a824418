// A client that appends entries to the replicated log, as one that fences its writes does: under
// the current term, and now and then under one that is known to be over and must be refused.
// Entries are of different sizes, so that the log grows by whole files and members that were away
// get snapshots.
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
    private const int StaleOneIn = 5;

    private static readonly string Padding = new('x', LongestPadding);

    protected override async Task CallAsync(NpgsqlConnection connection)
    {
        // Whoever was answered under a term knows that all earlier ones are over.
        var newest = Pool.NewestTerm;
        var isStale = newest > 1 && Random.Next(StaleOneIn) == 0;
        var term = isStale
            ? Random.NextInt64(1, newest)
            : await connection.ScalarAsync<long>("SELECT pgraft_get_term()");
        if (term != 0)
        {
            await AppendAsync(connection, term, isStale);
        }

        // A server that waits to become a member knows no term.
    }

    private async Task AppendAsync(NpgsqlConnection connection, long term, bool isStale)
    {
        var op = Begin(OperationKind.Append, "", NewValue()) with { Term = term };
        var data = $"{op.Value}{LogAudit.ValueEnd}{Padding.AsSpan(0, Random.Next(LongestPadding))}";
        var outcome = Outcome.Ok;
        try
        {
            op = op with
            {
                Index = await connection.ScalarAsync<long>(
                    "SELECT pgraft_log_append($1, $2)", term, data),
            };
            Pool.Acknowledged();
            Pool.SawTerm(term);
        }
        catch (Exception e) when (Outcomes.IsExpected(e))
        {
            outcome = Ended(e, "pgraft_log_append");
        }

        if (isStale)
        {
            StaleEnded(outcome, term);
        }

        Add(op, outcome);
        Pool.Audit.AppendEnded(op.Value!, outcome, op.Index, term);
        ThrowIfBroken(connection);
    }

    private void StaleEnded(Outcome outcome, long term)
    {
        Pool.Tally.StaleAppendEnded(outcome);
        if (outcome == Outcome.Ok)
        {
            Pool.Findings.Violation(FormattableString.Invariant(
                $"an append under term {term} succeeded after one under a later term had"));
        }
    }
}
