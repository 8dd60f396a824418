// A client that reads and writes keys of the key–value store. Threading: see the base class.

using Npgsql;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;
using PgRaft.Histories;

namespace PgRaft.Chaos.Clients;

internal class RegisterClient(ChaosNode node, ClientPool pool, int number)
    : ChaosClient(node, pool, number)
{
    protected override Task CallAsync(NpgsqlConnection connection)
    {
        var key = Pool.Keys.Next(Random);
        return Random.Next(2) == 0 ? PutAsync(connection, key) : GetAsync(connection, key);
    }

    protected async Task PutAsync(NpgsqlConnection connection, string key)
    {
        var op = Begin(OperationKind.Put, key, NewValue());
        var outcome = Outcome.Ok;
        try
        {
            await connection.ScalarAsync<bool>("SELECT pgraft_kv_put($1, $2)", key, op.Value!);
            Pool.Acknowledged();
        }
        catch (Exception e) when (Outcomes.IsExpected(e))
        {
            outcome = Ended(e, "pgraft_kv_put");
        }

        Add(op, outcome);
        Pool.Audit.WriteEnded(op.Value!, outcome);
        ThrowIfBroken(connection);
    }

    /// <summary>What was read; Unknown when there was no answer.</summary>
    protected async Task<(Outcome Outcome, string? Value)> GetAsync(
        NpgsqlConnection connection, string key)
    {
        var op = Begin(OperationKind.Get, key, null);
        var outcome = Outcome.Ok;
        try
        {
            op = op with
            {
                Value = await connection.ScalarAsync<string?>(
                    "SELECT pgraft_kv_get($1, $2)", key, Pool.Consistency),
            };
            Pool.Tally.Succeeded();
        }
        catch (Exception e) when (Outcomes.IsExpected(e))
        {
            outcome = Ended(e, "pgraft_kv_get");
        }

        Add(op, outcome);
        ThrowIfBroken(connection);
        return (outcome, op.Value);
    }
}
