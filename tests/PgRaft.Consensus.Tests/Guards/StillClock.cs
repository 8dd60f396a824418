// A node's clocks, which stand still until a test moves them: both at once.
// Threading: one test. Failure: none.
using System.Diagnostics;

namespace PgRaft.Consensus.Tests.Guards;

internal sealed class StillClock : TimeProvider
{
    private long _now = 1_000_000 * Stopwatch.Frequency;

    public override long GetTimestamp() => _now;

    public override DateTimeOffset GetUtcNow() =>
        DateTimeOffset.UnixEpoch + GetElapsedTime(0, _now);

    public void Pass(int ms) => _now += ms * Stopwatch.Frequency / 1000;
}
