// A client that swaps: it reads a key, and sets it if its revision is still that of what was read;
// or, now and then, one that it knows to be old, or if there is no such key. SQL tells the revision
// of a value to whoever swapped it in, so the clients tell each other. A value that was put, or
// swapped in by a call whose answer was lost, has a revision that nobody knows: its key is left to
// others' failing swaps, and another takes its place.
//
// Threading: see the base class.

using Npgsql;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;
using PgRaft.Histories;

namespace PgRaft.Chaos.Clients;

internal sealed class CasClient(ChaosNode node, ClientPool pool, int number)
    : RegisterClient(node, pool, number)
{
    private const string Cas = "SELECT pgraft_kv_cas($1, $2, $3)";
    private const string Put = "SELECT pgraft_kv_put($1, $2)";

    private long _lastExpected;

    protected override async Task CallAsync(NpgsqlConnection connection)
    {
        var key = Pool.SwappedKeys.Next(Random);
        if (Random.Next(20) == 0)
        {
            await PutAsync(connection, key);
            return;
        }

        var (outcome, value) = await GetAsync(connection, key);
        if (outcome == Outcome.Ok)
        {
            await SwapAsync(connection, key, Expected(key, value));
        }
    }

    private long Expected(string key, string? value)
    {
        if (Pool.RevisionOf(value) is not { } revision)
        {
            Pool.SwappedKeys.Retire(key);
            return _lastExpected;
        }

        var expected = Random.Next(6) switch
        {
            0 => _lastExpected,
            1 => 0,
            _ => revision,
        };
        _lastExpected = revision;
        return expected;
    }

    private async Task SwapAsync(NpgsqlConnection connection, string key, long expected)
    {
        var op = Begin(OperationKind.Cas, key, NewValue()) with { ExpectedRevision = expected };
        var outcome = Outcome.Ok;
        try
        {
            op = await SwapAsync(connection, op);
            Pool.Acknowledged();
        }
        catch (Exception e) when (Outcomes.IsExpected(e))
        {
            outcome = Ended(e, "pgraft_kv_cas");
        }

        Add(op, outcome);
        Pool.Audit.WriteEnded(op.Value!, outcome);
        ThrowIfBroken(connection);
    }

    private async Task<Operation> SwapAsync(NpgsqlConnection connection, Operation op)
    {
        if (Pool.ComparesNothing)
        {
            await connection.ScalarAsync<bool>(Put, op.Key, op.Value!);
            return op with { Swapped = true };
        }

        var revision = await connection.ScalarAsync<long?>(
            Cas, op.Key, op.ExpectedRevision!, op.Value!);
        if (revision is { } told)
        {
            Pool.Told(op.Value!, told);
        }

        return op with { Swapped = revision is not null, Revision = revision };
    }
}
