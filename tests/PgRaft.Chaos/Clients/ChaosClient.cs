// One client of one server: opens a connection, makes calls one after another, opens another when
// it broke. What the calls are is the subclasses' matter.
//
// Threading: one task a client. Failure: an error of a call ends it with an outcome and a count;
// an error that no fault excuses is a violation.

using System.Data;
using Npgsql;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;
using PgRaft.Histories;

namespace PgRaft.Chaos.Clients;

internal abstract class ChaosClient(ChaosNode node, ClientPool pool, int number)
{
    private const int LongestThought = 25;

    private static readonly TimeSpan AwayInterval = TimeSpan.FromMilliseconds(30);

    // How patient the clients are, by turns: the default, one that gives up early and so leaves
    // more outcomes open, one whose statements are cancelled.
    private static readonly string[] Sessions =
    [
        "SET pgraft.request_timeout = '4s'",
        "SET pgraft.request_timeout = '300ms'",
        "SET statement_timeout = '250ms'",
    ];

    private long _sequence;

    protected Random Random { get; } = new(unchecked(pool.Seed + number));

    /// <summary>A client after a call whose outcome is unknown counts as another one: it has that
    /// call under way for ever.</summary>
    protected int Process { get; private set; } = pool.NextProcess();

    protected ClientPool Pool => pool;

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await TestServer.OpenAsync(ConnectionString());
                await connection.ExecuteAsync(Sessions[number % Sessions.Length]);
                while (!stop.IsCancellationRequested)
                {
                    await CallAsync(connection);
                    await Task.Delay(Random.Next(LongestThought), CancellationToken.None);
                }
            }
            catch (Exception e) when (Outcomes.IsExpected(e))
            {
                // Not to spin while the server is away.
                await Task.Delay(AwayInterval, CancellationToken.None);
            }
        }
    }

    /// <summary>Makes one call and records it; throws only when the connection is broken.</summary>
    protected abstract Task CallAsync(NpgsqlConnection connection);

    /// <summary>A value that nobody else writes.</summary>
    protected string NewValue()
    {
        return FormattableString.Invariant($"{pool.Epoch}.{number}.{++_sequence}");
    }

    /// <summary>Counts a failed call and returns its outcome.</summary>
    protected Outcome Ended(Exception failure, string what)
    {
        var outcome = Outcomes.Of(failure);
        pool.Tally.Ended(failure, outcome);
        if (outcome == Outcome.Unknown)
        {
            Process = pool.NextProcess();
        }

        if (Outcomes.IsDefect(failure))
        {
            pool.Findings.Violation($"{what} on {node.Name} ends with {failure.Message}");
        }

        return outcome;
    }

    /// <summary>Writes down a call that has ended.</summary>
    protected void Add(Operation called, Outcome outcome)
    {
        pool.History.Add(called with { ReturnNs = ClientPool.Now(), Outcome = outcome });
    }

    /// <summary>A call that begins now.</summary>
    protected Operation Begin(OperationKind kind, string key, string? value)
    {
        return new Operation(
            Process, kind, key, value, ClientPool.Now(), 0, Outcome.Unknown);
    }

    protected static void ThrowIfBroken(NpgsqlConnection connection)
    {
        if (connection.State != ConnectionState.Open)
        {
            throw new IOException("the connection is broken");
        }
    }

    private string ConnectionString()
    {
        var settings = node.Server.ConnectionSettings;
        settings.Timeout = 3;
        settings.CommandTimeout = 7;
        settings.CancellationTimeout = -1;
        return settings.ConnectionString;
    }
}
