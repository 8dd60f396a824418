// One moment on both clocks: the monotonic one, which ends are measured by, and the one on the
// wall, which people read.
//
// The two are read one after the other, and a thread may be put aside in between, for as long as a
// busy machine likes: every time that is worked out from such a pair would be late by that. So the
// wall clock is read between two looks at the other, and again if those lie apart.
// Threading: pure function. Failure: none; on a machine that is that busy, the best of some tries.
namespace PgRaft.Consensus.Leadership;

/// <summary>A moment on both clocks.</summary>
/// <param name="Timestamp">Of the node's clock.</param>
/// <param name="Wall">The time of day.</param>
public readonly record struct Moment(long Timestamp, DateTimeOffset Wall)
{
    private const int MaxTries = 4;
    private static readonly TimeSpan Near = TimeSpan.FromMicroseconds(20);

    /// <summary>Now.</summary>
    public static Moment Of(TimeProvider clock)
    {
        Moment best = default;
        var least = TimeSpan.MaxValue;
        for (int i = 0; i < MaxTries && least > Near; i++)
        {
            long before = clock.GetTimestamp();
            var wall = clock.GetUtcNow();
            long after = clock.GetTimestamp();
            if (clock.GetElapsedTime(before, after) is var apart && apart < least)
            {
                (best, least) = (new Moment(after, wall), apart);
            }
        }

        return best;
    }
}
