// Clients that put and read a few keys on every server of a cluster, whoever is a member at the
// moment, and record what they did for the linearizability checker. Also remembered: the longest
// time in which nobody's write was acknowledged.
//
// Threading: a task and a connection for each client; the history has its own lock. Failure: a
// client whose server is away, or no member, tries again until the load is stopped.

using System.Diagnostics;
using System.Globalization;
using Npgsql;
using PgRaft.Histories;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class RegisterLoad : IAsyncDisposable
{
    private const int ClientsPerServer = 2;
    private const int Keys = 4;
    private const int OperationsPerKey = 120;

    // Distance between the process numbers that a client uses, one more after each call left open.
    private const int Processes = 100;

    // Certainly not done, and never will be (docs/sql.md).
    private static readonly string[] NotDone = ["40001", "55000", "57P03"];

    private readonly CancellationTokenSource _stop = new();
    private readonly int[] _used = new int[Keys];
    private readonly List<Task> _clients = [];
    private readonly Lock _gate = new();
    private long _acknowledgedAt = Stopwatch.GetTimestamp();
    private TimeSpan _longestGap;
    private int _acknowledged;
    private int _unknown;

    public History History { get; } = new();

    public int Acknowledged => Volatile.Read(ref _acknowledged);

    public int Unknown => Volatile.Read(ref _unknown);

    /// <summary>The longest time without an acknowledged write, since it was last asked for.
    /// </summary>
    public TimeSpan TakeLongestGap()
    {
        lock (_gate)
        {
            CloseGap();
            var longest = _longestGap;
            _longestGap = TimeSpan.Zero;
            return longest;
        }
    }

    /// <summary>Starts clients on a server.</summary>
    public void Use(TestServer server)
    {
        for (var i = 0; i < ClientsPerServer; i++)
        {
            var number = _clients.Count;
            _clients.Add(Task.Run(() => RunAsync(server, number)));
        }
    }

    /// <summary>Reads every key once more through a server, and stops.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_clients);
    }

    public async Task ReadEverythingAsync(TestServer server)
    {
        await using var connection = await server.OpenAsync();
        var keys = History.Operations.Select(o => o.Key).Distinct().ToArray();
        foreach (var key in keys)
        {
            var called = Now();
            var value = await connection.ScalarAsync<string?>("SELECT pgraft_kv_get($1)", key);
            History.Add(new Operation(
                -1, OperationKind.Get, key, value, called, Now(), Outcome.Ok));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private static long Now()
    {
        return (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
    }

    private async Task RunAsync(TestServer server, int number)
    {
        var random = new Random(number);
        var client = new Client(number);
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await server.OpenAsync();
                while (!_stop.IsCancellationRequested)
                {
                    await CallAsync(connection, client, random);
                }
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException
                or InvalidOperationException)
            {
                // Not to spin while the server is away or no member.
                await Task.Delay(TimeSpan.FromMilliseconds(20), CancellationToken.None);
            }
        }
    }

    private async Task CallAsync(NpgsqlConnection connection, Client client, Random random)
    {
        var slot = random.Next(Keys);
        var generation = Interlocked.Increment(ref _used[slot]) / OperationsPerKey;
        var key = string.Create(CultureInfo.InvariantCulture, $"load/{slot}/{generation}");
        var isPut = random.Next(2) == 0;
        var value = isPut ? client.NewValue() : null;
        var called = Now();
        var outcome = Outcome.Unknown;
        try
        {
            if (isPut)
            {
                await connection.ScalarAsync<bool>("SELECT pgraft_kv_put($1, $2)", key, value!);
                Acknowledge();
            }
            else
            {
                value = await connection.ScalarAsync<string?>("SELECT pgraft_kv_get($1)", key);
            }

            outcome = Outcome.Ok;
        }
        catch (PostgresException e) when (NotDone.Contains(e.SqlState))
        {
            outcome = Outcome.Failed;
            throw;
        }
        finally
        {
            History.Add(new Operation(
                client.Process, isPut ? OperationKind.Put : OperationKind.Get, key, value, called,
                Now(), outcome));
            if (outcome == Outcome.Unknown)
            {
                client.CallsLeftOpen++;
                Interlocked.Increment(ref _unknown);
            }
        }
    }

    private void Acknowledge()
    {
        lock (_gate)
        {
            CloseGap();
            _acknowledgedAt = Stopwatch.GetTimestamp();
            _acknowledged++;
        }
    }

    private void CloseGap()
    {
        var gap = Stopwatch.GetElapsedTime(_acknowledgedAt);
        _longestGap = gap > _longestGap ? gap : _longestGap;
    }

    private sealed class Client(int number)
    {
        private int _values;

        public int CallsLeftOpen { get; set; }

        public int Process => number + (CallsLeftOpen * Processes);

        /// <summary>A value that nobody else writes.</summary>
        public string NewValue()
        {
            return string.Create(CultureInfo.InvariantCulture, $"{number}.{++_values}");
        }
    }
}
