// Bounds how often one event is logged, so that no fault, however it repeats, fills the server's
// log. Errors too: what ends the node is not one of them, for the worker's main thread reports
// that. Debug records are not bounded: they were asked for.
//
// What is left out is counted, and the last of it is written when the minute is over, so that the
// log says how often a fault came also when it does not come again.
// Threading: any thread; one short lock, and a timer while something is left out. Failure: none.
using Microsoft.Extensions.Logging;

namespace PgRaft.Server.Logging;

internal sealed class LogThrottle(TimeProvider clock) : IDisposable
{
    /// <summary>Records of one event within <see cref="Window"/>.</summary>
    public const int MaxRecords = 20;

    private readonly Lock _gate = new();
    private readonly Dictionary<int, Bucket> _buckets = [];

    public static TimeSpan Window { get; } = TimeSpan.FromMinutes(1);

    /// <summary>Whether a record may be written now.</summary>
    /// <param name="level">Its level.</param>
    /// <param name="eventId">Its event; what has none is bounded together.</param>
    /// <param name="writeLater">Otherwise, if it is the last of the minute, writes it at the
    /// minute's end; gets the number of those that were left out before it.</param>
    public bool MayWrite(LogLevel level, int eventId, Action<long> writeLater)
    {
        if (level < LogLevel.Information)
            return true;
        lock (_gate)
        {
            if (!_buckets.TryGetValue(eventId, out var bucket))
                _buckets[eventId] = bucket = new Bucket(clock, _gate);
            return bucket.TryTake(writeLater);
        }
    }

    /// <summary>Writes nothing later any more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var bucket in _buckets.Values)
                bucket.Timer?.Dispose();
        }
    }

    // Under the gate, but for what the timer writes.
    private sealed class Bucket(TimeProvider clock, Lock gate)
    {
        private long _began = clock.GetTimestamp();
        private int _count;
        private long _leftOut;
        private Action<long>? _last;

        public ITimer? Timer { get; private set; }

        public bool TryTake(Action<long> writeLater)
        {
            var age = clock.GetElapsedTime(_began);
            if (age >= Window && _leftOut == 0)
                Begin(0);
            if (_count < MaxRecords)
            {
                _count++;
                return true;
            }

            _last = writeLater;
            if (_leftOut++ == 0)
                EndIn(Window - age);
            return false;
        }

        private void Begin(int count)
        {
            _began = clock.GetTimestamp();
            _count = count;
        }

        private void EndIn(TimeSpan time)
        {
            Timer ??= clock.CreateTimer(
                _ => End(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            Timer.Change(time, Timeout.InfiniteTimeSpan);
        }

        private void End()
        {
            Action<long>? write;
            long besides;
            lock (gate)
            {
                write = _last;
                besides = _leftOut - 1;
                _last = null;
                _leftOut = 0;
                Begin(1);
            }

            write?.Invoke(besides);
        }
    }
}
