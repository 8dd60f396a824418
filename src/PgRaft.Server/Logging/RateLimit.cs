// Counts what a client may cause at will, and lets it be logged at most once a minute.
// Threading: any thread, lock-free. Failure: none.
using System.Diagnostics;

namespace PgRaft.Server.Logging;

internal sealed class RateLimit(TimeSpan interval)
{
    private readonly long _intervalTicks = (long)(interval.TotalSeconds * Stopwatch.Frequency);
    private long _total;
    private long _sinceReport;
    private long _nextReport;

    /// <summary>All that was counted since start.</summary>
    public long Total => Interlocked.Read(ref _total);

    /// <summary>Counts one.</summary>
    /// <param name="count">How many since the last report, when one is due.</param>
    public bool ShouldReport(out long count)
    {
        Interlocked.Increment(ref _total);
        Interlocked.Increment(ref _sinceReport);
        count = 0;
        long now = Stopwatch.GetTimestamp();
        long next = Interlocked.Read(ref _nextReport);
        if (now < next
            || Interlocked.CompareExchange(ref _nextReport, now + _intervalTicks, next) != next)
        {
            return false;
        }

        count = Interlocked.Exchange(ref _sinceReport, 0);
        return true;
    }
}
