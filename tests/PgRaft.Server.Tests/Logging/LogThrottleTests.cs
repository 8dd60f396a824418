// A fault that repeats for ever does not fill the log, and what was left out is said.
using System.Text;

using Microsoft.Extensions.Logging;

using PgRaft.Server.Logging;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Logging;

public class LogThrottleTests
{
    [Theory]
    [InlineData(LogLevel.Information, 202)]
    [InlineData(LogLevel.Warning, 201)]
    [InlineData(LogLevel.Error, 2015)]
    [InlineData(LogLevel.Critical, 0)]
    public void An_event_is_bounded_and_what_was_left_out_is_counted(LogLevel level, int id)
    {
        var clock = new SteppedClock();
        using var throttle = new LogThrottle(clock);
        List<(int Record, long LeftOut)> later = [];
        bool MayWrite(int i) => throttle.MayWrite(level, id, n => later.Add((i, n)));
        bool[] written = [.. Enumerable.Range(0, 100).Select(MayWrite)];

        Assert.Equal(Enumerable.Range(0, 100).Select(i => i < LogThrottle.MaxRecords), written);
        Assert.True(throttle.MayWrite(level, id + 1, _ => { }));
        Assert.True(throttle.MayWrite(LogLevel.Debug, id, _ => { }));

        // The last of them, which counts for the next minute.
        clock.Step(LogThrottle.Window - TimeSpan.FromSeconds(1));
        Assert.Empty(later);
        clock.Step(TimeSpan.FromSeconds(1));
        Assert.Equal([(99, 100L - LogThrottle.MaxRecords - 1)], later);
        written = [.. Enumerable.Range(100, 50).Select(MayWrite)];
        Assert.Equal(LogThrottle.MaxRecords - 1, written.Count(w => w));
        clock.Step(LogThrottle.Window);
        Assert.Equal((149, 50L - LogThrottle.MaxRecords), later[1]);

        // And when it does not come again, no more.
        clock.Step(LogThrottle.Window);
        clock.Step(LogThrottle.Window);
        Assert.Equal(2, later.Count);
        Assert.Equal(
            LogThrottle.MaxRecords, Enumerable.Range(150, 50).Select(MayWrite).Count(w => w));
    }

    [Fact]
    public void The_core_s_loggers_are_bounded()
    {
        var log = new LogRecorder();
        using var factory = new SinkLoggerFactory(log, () => false, TimeProvider.System);
        var logger = factory.CreateLogger("test");

        for (int i = 0; i < 1000; i++)
        {
            logger.AcceptFailed(new IOException());
            logger.RequestFailed(new InvalidCastException(), i);
        }

        Assert.Equal(
            [(LogThrottle.MaxRecords, 2011), (LogThrottle.MaxRecords, 2015)],
            log.Records.CountBy(r => r.EventId).Select(c => (c.Value, c.Key)));
        Assert.Equal(
            Enumerable.Range(0, LogThrottle.MaxRecords).Select(
                i => $"request {i} failed unexpectedly: InvalidCastException: "
                    + new InvalidCastException().Message),
            log.Records.Where(r => r.Level == LogLevel.Error).Select(r => r.Text));
    }

    // However long the text is that it follows, and also when the fault has ended.
    [Fact]
    public void The_last_record_and_how_many_were_left_out_come_when_the_minute_is_over()
    {
        var log = new LogRecorder();
        var clock = new SteppedClock();
        using var factory = new SinkLoggerFactory(log, () => false, clock);
        var logger = factory.CreateLogger("test");
        for (int i = 1; i <= 1000; i++)
            logger.RequestFailed(new InvalidCastException(new string('x', 5000)), i);

        clock.Step(LogThrottle.Window);

        var last = log.Records.Last();
        Assert.Equal(LogThrottle.MaxRecords + 1, log.Records.Count);
        Assert.Equal((LogLevel.Error, 2015, "test"), (last.Level, last.EventId, last.Category));
        Assert.StartsWith(
            "request 1000 failed unexpectedly: ", last.Text, StringComparison.Ordinal);
        string said = $" ({1000 - LogThrottle.MaxRecords - 1} more like it were left out)";
        Assert.EndsWith($"xxx…{said}", last.Text, StringComparison.Ordinal);
        Assert.InRange(
            Encoding.UTF8.GetByteCount(last.Text), 1, LogText.MaxBytes + said.Length);
    }

    private sealed class SteppedClock : TimeProvider
    {
        private readonly List<SteppedTimer> _timers = [];
        private long _now = 1;

        public void Step(TimeSpan time)
        {
            _now += (long)(time.TotalSeconds * TimestampFrequency);
            foreach (var timer in _timers.Where(t => t.Due <= _now).ToArray())
                timer.Fire();
        }

        public override long GetTimestamp() => _now;

        public override ITimer CreateTimer(
            TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = new SteppedTimer(this, () => callback(state));
            timer.Change(dueTime, period);
            _timers.Add(timer);
            return timer;
        }

        private sealed class SteppedTimer(SteppedClock clock, Action callback) : ITimer
        {
            public long Due { get; private set; } = long.MaxValue;

            public void Fire()
            {
                Due = long.MaxValue;
                callback();
            }

            public bool Change(TimeSpan dueTime, TimeSpan period)
            {
                Due = dueTime == Timeout.InfiniteTimeSpan
                    ? long.MaxValue
                    : clock._now + (long)(dueTime.TotalSeconds * clock.TimestampFrequency);
                return true;
            }

            public void Dispose() => Due = long.MaxValue;

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }
}
