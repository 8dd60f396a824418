// Writers that put through one server without a pause and remember how long each put took, so that
// a stretch of time can be compared with another of the same run.
//
// Threading: each writer is a task with its own connection; the lists are concurrent. Failure: the
// first error of a writer ends it and is thrown by whoever asks for a result.

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class TimedPuts : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly CancellationTokenSource _stop = new();
    private readonly Task _writers;
    private ConcurrentQueue<double> _tookMs = new();

    public TimedPuts(TestServer server, int writers)
    {
        _writers = Task.WhenAll(Enumerable.Range(0, writers)
            .Select(writer => Task.Run(() => WriteAsync(server, writer))));
    }

    /// <summary>Puts acknowledged since the last <see cref="Take"/>.</summary>
    public int Count => _tookMs.Count;

    /// <summary>Waits until so many puts have been measured since the last
    /// <see cref="Take"/>.</summary>
    public Task UntilAsync(int puts)
    {
        return Poll.UntilAsync($"{puts} timed puts", () => Count >= puts || Failed(), Patience);
    }

    /// <summary>The puts measured since the last call.</summary>
    public Latencies Take()
    {
        Failed();
        return new Latencies([.. Interlocked.Exchange(ref _tookMs, new()).Order()]);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _writers;
        _stop.Dispose();
    }

    private bool Failed()
    {
        if (_writers.IsFaulted)
        {
            _writers.GetAwaiter().GetResult();
        }

        return false;
    }

    private async Task WriteAsync(TestServer server, int writer)
    {
        await using NpgsqlConnection connection = await server.OpenAsync();
        for (var i = 0; !_stop.IsCancellationRequested; i++)
        {
            var start = Stopwatch.GetTimestamp();
            Assert.True(await connection.ScalarAsync<bool>(
                "SELECT pgraft_kv_put($1, $2)",
                string.Create(CultureInfo.InvariantCulture, $"timed/{writer}/{i % 100}"),
                "a value"));
            _tookMs.Enqueue(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
    }
}

/// <summary>Latencies in ascending order, in milliseconds.</summary>
internal sealed record Latencies(IReadOnlyList<double> SortedMs)
{
    public double P99Ms => At(0.99);

    public override string ToString()
    {
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{SortedMs.Count} puts, p50 {At(0.5):F1} ms, p99 {P99Ms:F1} ms, "
            + $"longest {SortedMs[^1]:F1} ms");
    }

    private double At(double part)
    {
        return SortedMs[(int)Math.Ceiling(SortedMs.Count * part) - 1];
    }
}
