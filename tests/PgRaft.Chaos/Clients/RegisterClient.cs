// A client that reads and writes keys of the key–value store. Threading: see the base class.

using Npgsql;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;
using PgRaft.Histories;

namespace PgRaft.Chaos.Clients;

internal sealed class RegisterClient(ChaosNode node, ClientPool pool, int number)
    : ChaosClient(node, pool, number)
{
    protected override Task CallAsync(NpgsqlConnection connection)
    {
        var key = Pool.Keys.Next(Random);
        return Random.Next(2) == 0 ? PutAsync(connection, key) : GetAsync(connection, key);
    }

    private async Task PutAsync(NpgsqlConnection connection, string key)
    {
        var value = NewValue();
        var process = Process;
        var called = ClientPool.Now();
        var outcome = Outcome.Ok;
        try
        {
            await connection.ScalarAsync<bool>("SELECT pgraft_kv_put($1, $2)", key, value);
            Pool.Acknowledged();
        }
        catch (Exception e) when (Outcomes.IsExpected(e))
        {
            outcome = Ended(e, "pgraft_kv_put");
        }

        Pool.History.Add(new Operation(
            process, OperationKind.Put, key, value, called, ClientPool.Now(), outcome));
        Pool.Audit.PutEnded(value, outcome);
        ThrowIfBroken(connection);
    }

    private async Task GetAsync(NpgsqlConnection connection, string key)
    {
        var process = Process;
        var called = ClientPool.Now();
        string? value = null;
        var outcome = Outcome.Ok;
        try
        {
            value = await connection.ScalarAsync<string?>(
                "SELECT pgraft_kv_get($1, $2)", key, Pool.Consistency);
            Pool.Tally.Succeeded();
        }
        catch (Exception e) when (Outcomes.IsExpected(e))
        {
            outcome = Ended(e, "pgraft_kv_get");
        }

        Pool.History.Add(new Operation(
            process, OperationKind.Get, key, value, called, ClientPool.Now(), outcome));
        ThrowIfBroken(connection);
    }
}
