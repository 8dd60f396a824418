// Writers that put at a steady pace, as applications do that have something to write now and then:
// each begins a put once in a period, or when the last one is over, if that took longer.
//
// Threading: each writer is a task with its own connection; the queues are concurrent. Failure: an
// error is kept and ends its writer: it is the test's to demand that there is none.

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class SteadyPuts : IAsyncDisposable
{
    // Each writer puts its keys over and over: the state stays small however long it takes.
    private const int KeysPerWriter = 100;

    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<(int NodeId, double Ms)> _puts = new();
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly TimeSpan _period;
    private readonly Task _writers;

    public SteadyPuts(IEnumerable<TestServer> servers, int writersPerServer, TimeSpan period)
    {
        _period = period;
        var places = servers.SelectMany(s => Enumerable.Repeat(s, writersPerServer)).ToArray();
        _writers = Task.WhenAll(places.Select((server, writer) => Task.Run(
            () => WriteAsync(server, writer, period * writer / places.Length))));
    }

    /// <summary>Puts acknowledged.</summary>
    public int Count => _puts.Count;

    /// <summary>What every put said that failed, or whose outcome is unknown.</summary>
    public IReadOnlyCollection<string> Failures => _failures;

    /// <summary>Times of the puts that were sent to these nodes.</summary>
    public Latencies Of(Predicate<int> isNode)
    {
        return new Latencies([.. _puts.Where(p => isNode(p.NodeId)).Select(p => p.Ms).Order()]);
    }

    /// <summary>Waits for so much time of load, or the first failure.</summary>
    public Task RunAsync(TimeSpan duration)
    {
        var clock = Stopwatch.StartNew();
        return Poll.UntilAsync(
            $"{duration} of load",
            () => clock.Elapsed >= duration || !_failures.IsEmpty,
            duration + Poll.DefaultDeadline);
    }

    /// <summary>Ends the writers when the puts under way are over.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _writers;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task WriteAsync(TestServer server, int writer, TimeSpan first)
    {
        try
        {
            await using NpgsqlConnection connection = await server.OpenAsync();
            await PauseAsync(first);
            for (var i = 0; !_stop.IsCancellationRequested; i++)
            {
                var start = Stopwatch.GetTimestamp();
                await PutAsync(connection, server.NodeId, string.Create(
                    CultureInfo.InvariantCulture, $"steady/{writer}/{i % KeysPerWriter}"));
                await PauseAsync(_period - Stopwatch.GetElapsedTime(start));
            }
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
        {
            _failures.Enqueue($"node {server.NodeId}: {e.Message}");
        }
    }

    private async Task PutAsync(NpgsqlConnection connection, int nodeId, string key)
    {
        var start = Stopwatch.GetTimestamp();
        if (await connection.ScalarAsync<bool>("SELECT pgraft_kv_put($1, 'a value')", key))
        {
            _puts.Enqueue((nodeId, Stopwatch.GetElapsedTime(start).TotalMilliseconds));
        }
        else
        {
            _failures.Enqueue($"node {nodeId}: the answer to a put is not true");
        }
    }

    // The pace of the load; nothing is waited for.
    private async Task PauseAsync(TimeSpan pause)
    {
        if (pause > TimeSpan.Zero)
        {
            await Task.Delay(pause, _stop.Token)
                .ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }
}
