// The longest time for which this machine did not let the tests' process run: what a figure beside
// it is worth. A timer of ten milliseconds is late by as long as the processors are away.
//
// Threading: one task. Failure: none.

using System.Diagnostics;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class Pulse : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    private readonly PeriodicTimer _timer = new(Interval);
    private readonly Task _beating;
    private long _longestTicks;

    public Pulse()
    {
        _beating = Task.Run(BeatAsync);
    }

    public TimeSpan LongestPause => new(Interlocked.Read(ref _longestTicks));

    public async ValueTask DisposeAsync()
    {
        _timer.Dispose();
        await _beating;
    }

    private async Task BeatAsync()
    {
        var last = Stopwatch.GetTimestamp();
        while (await _timer.WaitForNextTickAsync())
        {
            var pause = Stopwatch.GetElapsedTime(last);
            last = Stopwatch.GetTimestamp();
            Interlocked.Exchange(ref _longestTicks, Math.Max(_longestTicks, pause.Ticks));
        }
    }
}
