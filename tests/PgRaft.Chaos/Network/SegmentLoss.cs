// What lost packets cost a TCP stream. A proxy between two sockets cannot lose a segment: the
// kernels on both sides have delivered what they acknowledged. What a loss does to the stream can
// be had all the same: nothing is missing and nothing overtakes, but the bytes of the lost segment,
// and all behind them, arrive later by the time that it takes to notice and to send again.
//
// Each segment of 1,448 bytes is lost with the given probability, and its retransmission too. It is
// noticed by the retransmission timeout, the longer of Linux's minimum of 200 ms and two round
// trips, which doubles with every further loss of the same segment. That is the most pessimistic
// way: a busy stream notices within one round trip, by duplicate acknowledgements. Lost
// acknowledgements cost nothing here, because the next one says the same; the congestion window is
// left out, because the streams at hand do not fill it.
//
// Threading: any number of callers; the count is atomic. Failure: none.

namespace PgRaft.Chaos.Network;

/// <param name="probability">Of losing one segment, from 0 to less than 1.</param>
/// <param name="roundTrip">Of the way that the stream takes.</param>
/// <param name="random">Numbers from 0 to 1; by default the shared generator's.</param>
internal sealed class SegmentLoss(
    double probability, TimeSpan roundTrip, Func<double>? random = null)
{
    public const int SegmentBytes = 1448;

    private static readonly TimeSpan LeastTimeout = TimeSpan.FromMilliseconds(200);

    private readonly Func<double> _random = random ?? Random.Shared.NextDouble;
    private int _lost;

    /// <summary>How often a segment has been lost.</summary>
    public int Lost => Volatile.Read(ref _lost);

    /// <summary>How much later than without losses so many bytes arrive: as late as the last of
    /// their segments.</summary>
    public TimeSpan DelayOf(int bytes)
    {
        var longest = TimeSpan.Zero;
        for (var left = bytes; left > 0; left -= SegmentBytes)
        {
            var delay = DelayOfSegment();
            longest = delay > longest ? delay : longest;
        }

        return longest;
    }

    private TimeSpan DelayOfSegment()
    {
        var delay = TimeSpan.Zero;
        var timeout = roundTrip * 2 > LeastTimeout ? roundTrip * 2 : LeastTimeout;
        while (_random() < probability)
        {
            Interlocked.Increment(ref _lost);
            delay += timeout;
            timeout *= 2;
        }

        return delay;
    }
}
