// A node's clocks, which stand still until a test moves them: both at once.
// Threading: one test. Failure: none.
using System.Diagnostics;

namespace PgRaft.Consensus.Tests.Guards;

internal sealed class StillClock : TimeProvider
{
    private int _afterWallMs;
    private long _now = 1_000_000 * Stopwatch.Frequency;

    public override long GetTimestamp() => _now;

    public override DateTimeOffset GetUtcNow()
    {
        var wall = DateTimeOffset.UnixEpoch + GetElapsedTime(0, _now);
        Pass(_afterWallMs);
        _afterWallMs = 0;
        return wall;
    }

    /// <summary>Time is to pass once, when the wall clock has been read.</summary>
    public void PassAfterWall(int ms) => _afterWallMs = ms;

    public void Pass(int ms) => _now += ms * Stopwatch.Frequency / 1000;
}
