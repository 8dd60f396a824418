// Bounds how often one event is logged, so that no fault, however it repeats, fills the server's
// log. Errors too: what ends the node is not one of them, for the worker's main thread reports
// that. Debug records are not bounded: they were asked for.
// Threading: any thread; one short lock. Failure: none; what is left out is counted, and said with
// the next record of the event.
using Microsoft.Extensions.Logging;

namespace PgRaft.Server.Logging;

internal sealed class LogThrottle(TimeProvider clock)
{
    /// <summary>Records of one event within <see cref="Window"/>.</summary>
    public const int MaxRecords = 20;

    private readonly Lock _gate = new();
    private readonly Dictionary<int, Bucket> _buckets = [];

    public static TimeSpan Window { get; } = TimeSpan.FromMinutes(1);

    /// <summary>Whether a record may be written now.</summary>
    /// <param name="level">Its level.</param>
    /// <param name="eventId">Its event; what has none is bounded together.</param>
    /// <param name="leftOut">Records of the event that were not written since the last one.</param>
    public bool MayWrite(LogLevel level, int eventId, out long leftOut)
    {
        leftOut = 0;
        if (level < LogLevel.Information)
            return true;
        lock (_gate)
        {
            if (!_buckets.TryGetValue(eventId, out var bucket))
                _buckets[eventId] = bucket = new Bucket(clock.GetTimestamp());
            return bucket.TryTake(clock, out leftOut);
        }
    }

    private sealed class Bucket(long began)
    {
        private long _began = began;
        private int _count;
        private long _leftOut;

        public bool TryTake(TimeProvider clock, out long leftOut)
        {
            leftOut = 0;
            if (clock.GetElapsedTime(_began) >= Window)
            {
                _began = clock.GetTimestamp();
                _count = 0;
            }

            if (_count >= MaxRecords)
            {
                _leftOut++;
                return false;
            }

            _count++;
            leftOut = _leftOut;
            _leftOut = 0;
            return true;
        }
    }
}
