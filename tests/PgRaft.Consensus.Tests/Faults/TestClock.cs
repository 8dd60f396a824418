// A member's monotonic clock that may run fast or slow, or jump, within a run.
// Threading: any thread. Failure: none.
using System.Diagnostics;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class TestClock(double rate) : TimeProvider
{
    private readonly long _begin = Stopwatch.GetTimestamp();
    private long _offset;

    /// <summary>Its seconds per second.</summary>
    public double Rate => rate;

    public override long GetTimestamp() =>
        _begin + (long)((Stopwatch.GetTimestamp() - _begin) * rate) + Volatile.Read(ref _offset);

    /// <summary>Forward, or back when negative.</summary>
    public void Jump(TimeSpan by) =>
        Interlocked.Add(ref _offset, (long)(by.TotalSeconds * Stopwatch.Frequency));
}
