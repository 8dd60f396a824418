// Writers that put distinct keys through given servers as fast as they can and remember which
// puts were acknowledged. An error of any kind is not an acknowledgement: that put may or may not
// be there.
//
// Threading: each writer is a task with its own connection; the lists are concurrent. Failure: a
// writer whose server is away tries again until the load is stopped.

using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;

namespace PgRaft.Cluster.Tests.Harness;

internal sealed class WriteLoad : IAsyncDisposable
{
    private static int _loads;

    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, string> _acknowledged = new();
    private readonly string _prefix = $"load{Interlocked.Increment(ref _loads)}/";
    private readonly Task _writers;
    private int _errors;

    private WriteLoad(IEnumerable<TestServer> servers, int writersPerServer)
    {
        var places = servers.SelectMany(s => Enumerable.Repeat(s, writersPerServer)).ToArray();
        _writers = Task.WhenAll(
            places.Select((server, number) => Task.Run(() => WriteAsync(server, number))));
    }

    public int Acknowledged => _acknowledged.Count;

    public int Errors => _errors;

    /// <summary>Starts the writers and returns when some puts have been acknowledged.</summary>
    public static async Task<WriteLoad> StartAsync(
        IEnumerable<TestServer> servers, int writersPerServer = 3, int atLeast = 100)
    {
        var load = new WriteLoad(servers, writersPerServer);
        await Poll.UntilAsync(
            "acknowledged writes under load", () => load.Acknowledged >= atLeast);
        return load;
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _writers;
    }

    /// <summary>The keys whose puts have been acknowledged by now.</summary>
    public string[] AcknowledgedKeys()
    {
        return [.. _acknowledged.Keys];
    }

    /// <summary>The acknowledged puts whose value a server does not return.</summary>
    public Task<IReadOnlyList<string>> LostOnAsync(TestServer server, string consistency)
    {
        return LostOnAsync(server, consistency, AcknowledgedKeys());
    }

    /// <summary>Those of the given keys whose value a server does not return.</summary>
    public async Task<IReadOnlyList<string>> LostOnAsync(
        TestServer server, string consistency, string[] keys)
    {
        await using var connection = await server.OpenAsync();
        var wanted = keys.Select(k => _acknowledged[k]).ToArray();
        const string Query = "SELECT coalesce(array_agg(k), '{}') "
            + "FROM unnest($1::text[], $2::text[]) u(k, v) "
            + "WHERE pgraft_kv_get(k, $3) IS DISTINCT FROM v";
        return await connection.ScalarAsync<string[]>(Query, keys, wanted, consistency);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task WriteAsync(TestServer server, int writer)
    {
        var sequence = 0;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await server.OpenAsync();
                while (!_stop.IsCancellationRequested)
                {
                    await PutAsync(connection, writer, sequence++);
                }
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                Interlocked.Increment(ref _errors);

                // Not to spin while the server is away.
                await Task.Delay(TimeSpan.FromMilliseconds(5));
            }
        }
    }

    private async Task PutAsync(NpgsqlConnection connection, int writer, int sequence)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"{_prefix}{writer}/{sequence}");
        var value = string.Create(
            CultureInfo.InvariantCulture, $"value {sequence} of writer {writer}");
        if (await connection.ScalarAsync<bool>("SELECT pgraft_kv_put($1, $2)", key, value))
        {
            _acknowledged[key] = value;
        }
    }
}
