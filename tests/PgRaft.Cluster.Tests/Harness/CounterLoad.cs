// Clients on each server that count one key up by compare and set, as fast as they can. What was
// answered is told apart: counted, not done (another was faster, or an error that says so), and
// unknown.
//
// Threading: a task and a connection for each server; the counts are atomic. Failure: a client
// whose server is away tries again until the load is stopped.

using System.Globalization;
using Npgsql;

namespace PgRaft.Cluster.Tests.Harness;

internal sealed class CounterLoad : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly string _key;
    private readonly Task _clients;
    private int _succeeded;
    private int _undone;
    private int _unknown;
    private int _unknownAtSurvivors;

    public CounterLoad(IEnumerable<TestServer> servers, string key)
    {
        _key = key;
        _clients = Task.WhenAll(servers.Select(s => Task.Run(() => CountAsync(s))).ToArray());
    }

    public int Succeeded => Volatile.Read(ref _succeeded);

    public int Undone => _undone;

    /// <summary>Attempts that may have counted, those at servers that were killed included.
    /// </summary>
    public int Unknown => _unknown;

    /// <summary>Attempts that a server answered with 40003.</summary>
    public int UnknownAtSurvivors => _unknownAtSurvivors;

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _clients;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task CountAsync(TestServer server)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await server.OpenAsync();
                await connection.ExecuteAsync("SET pgraft.request_timeout = '50s'");
                while (!_stop.IsCancellationRequested)
                {
                    await IncrementAsync(connection);
                }
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                // Not to spin while the server is away.
                await Task.Delay(TimeSpan.FromMilliseconds(20));
            }
        }
    }

    private async Task IncrementAsync(NpgsqlConnection connection)
    {
        // Nothing else is written: the count is also the revision of the last change.
        var seen = await connection.ScalarAsync<string?>("SELECT pgraft_kv_get($1)", _key);
        var count = int.Parse(seen ?? "0", CultureInfo.InvariantCulture);
        var isKnown = false;
        try
        {
            isKnown = await SetAsync(connection, count);
        }
        catch (PostgresException e)
        {
            isKnown = e.SqlState is "40001" or "57P03" or "55000";
            Interlocked.Add(ref _unknownAtSurvivors, e.SqlState == "40003" ? 1 : 0);
            throw;
        }
        finally
        {
            Interlocked.Add(ref _unknown, isKnown ? 0 : 1);
        }
    }

    private async Task<bool> SetAsync(NpgsqlConnection connection, int count)
    {
        var revision = await connection.ScalarAsync<long>(
            "SELECT coalesce(pgraft_kv_cas($1, $2, $3), 0)", _key, (long)count, $"{count + 1}");
        Interlocked.Increment(ref revision > 0 ? ref _succeeded : ref _undone);
        return true;
    }
}
