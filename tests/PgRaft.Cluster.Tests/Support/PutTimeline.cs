// Writers that put distinct keys through given servers without a pause, and remember when each put
// was acknowledged and what failed: what an interruption costs is the longest time in which nobody
// had an acknowledgement.
//
// Threading: each writer is a task with its own connection; the queues are concurrent. Failure: an
// error is kept and ends its writer.

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class PutTimeline : IAsyncDisposable
{
    private static int _timelines;

    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<long> _acknowledged = new();
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly string _prefix = string.Create(
        CultureInfo.InvariantCulture, $"timeline{Interlocked.Increment(ref _timelines)}/");

    private readonly Task _writers;

    public PutTimeline(IEnumerable<TestServer> servers, int writersPerServer = 2)
    {
        var places = servers.SelectMany(s => Enumerable.Repeat(s, writersPerServer)).ToArray();
        _writers = Task.WhenAll(
            places.Select((server, number) => Task.Run(() => WriteAsync(server, number))));
    }

    public int Acknowledged => _acknowledged.Count;

    /// <summary>What every error said.</summary>
    public IReadOnlyCollection<string> Failures => _failures;

    /// <summary>Waits until so many more puts have been acknowledged.</summary>
    public Task GoesOnAsync(int puts = 200)
    {
        var target = Acknowledged + puts;
        return Poll.UntilAsync(
            "acknowledged puts", () => Acknowledged >= target || !_failures.IsEmpty);
    }

    /// <summary>The longest time without an acknowledgement, from a moment on.</summary>
    public TimeSpan LongestGap(long since = 0)
    {
        var times = _acknowledged.Where(t => t >= since).Order().ToArray();
        var gaps = times.Zip(times.Skip(1), Stopwatch.GetElapsedTime);
        return gaps.Max();
    }

    /// <summary>Ends the writers.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _writers;
    }

    /// <summary>How many of the keys a server has; to be compared with
    /// <see cref="Acknowledged"/>.</summary>
    public Task<long> CountOnAsync(TestServer server)
    {
        return server.ScalarAsync<long>("SELECT count(*) FROM pgraft_kv_list_keys($1)", _prefix);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task WriteAsync(TestServer server, int writer)
    {
        try
        {
            await using NpgsqlConnection connection = await server.OpenAsync();
            for (var i = 0; !_stop.IsCancellationRequested; i++)
            {
                var key = string.Create(CultureInfo.InvariantCulture, $"{_prefix}{writer}/{i}");
                if (await connection.ScalarAsync<bool>("SELECT pgraft_kv_put($1, 'v')", key))
                {
                    _acknowledged.Enqueue(Stopwatch.GetTimestamp());
                }
            }
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
        {
            _failures.Enqueue($"node {server.NodeId}: {e.Message}");
        }
    }
}
