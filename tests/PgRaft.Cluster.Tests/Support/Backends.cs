// What a backend is doing, and ending it.
// Threading: no state. Failure: Poll's, and the assertions'.

using System.Diagnostics;
using Npgsql;

namespace PgRaft.Cluster.Tests.Support;

internal static class Backends
{
    public const string StatementTimeout = "statement_timeout";

    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(2);

    /// <summary>Returns once the backend waits for the core's answer.</summary>
    public static Task WaitsForCoreAsync(TestServer server, int backend) => Poll.UntilAsync(
        "the backend waits for the core",
        () => server.ScalarAsync<string>(
            "SELECT coalesce(wait_event_type, '') FROM pg_stat_activity WHERE pid = $1", backend),
        type => type == "Extension");

    /// <summary>Runs a statement that cannot go on, ends it once it waits for the core, and returns
    /// its error, which comes in time. Means are <see cref="StatementTimeout"/>, which stays set,
    /// or the function that ends a statement or a session.</summary>
    public static async Task<PostgresException> EndedAsync(
        TestServer server, NpgsqlConnection connection, string statement, string means)
    {
        var backend = await connection.ScalarAsync<int>("SELECT pg_backend_pid()");
        if (means == StatementTimeout)
        {
            await connection.ExecuteAsync("SET statement_timeout = '300ms'");
        }

        var clock = Stopwatch.StartNew();
        var call = Assert.ThrowsAsync<PostgresException>(() => connection.ExecuteAsync(statement));
        if (means != StatementTimeout)
        {
            await WaitsForCoreAsync(server, backend);
            clock.Restart();
            Assert.True(await server.ScalarAsync<bool>($"SELECT {means}($1)", backend));
        }

        var error = await call;
        Assert.True(clock.Elapsed < AtOnce, $"{clock.Elapsed}");
        return error;
    }
}
