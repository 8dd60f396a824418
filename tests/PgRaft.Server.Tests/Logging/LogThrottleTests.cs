// A fault that repeats for ever does not fill the log, and what was left out is said.
using Microsoft.Extensions.Logging;

using PgRaft.Server.Logging;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Logging;

public class LogThrottleTests
{
    [Fact]
    public void An_event_is_bounded_and_what_was_left_out_is_counted()
    {
        var clock = new SteppedClock();
        var throttle = new LogThrottle(clock);
        int written = Enumerable.Range(0, 100)
            .Count(_ => throttle.MayWrite(LogLevel.Warning, 201, out long _));

        Assert.Equal(LogThrottle.MaxRecords, written);
        Assert.True(throttle.MayWrite(LogLevel.Warning, 202, out _));
        Assert.True(throttle.MayWrite(LogLevel.Error, 201, out _));
        Assert.True(throttle.MayWrite(LogLevel.Debug, 201, out _));

        clock.Step(LogThrottle.Window);
        Assert.True(throttle.MayWrite(LogLevel.Warning, 201, out long leftOut));
        Assert.Equal(100 - LogThrottle.MaxRecords, leftOut);
        Assert.True(throttle.MayWrite(LogLevel.Warning, 201, out long again));
        Assert.Equal(0, again);
    }

    [Fact]
    public void The_core_s_loggers_are_bounded()
    {
        var log = new LogRecorder();
        using var factory = new SinkLoggerFactory(log, () => false);
        var logger = factory.CreateLogger("test");

        for (int i = 0; i < 1000; i++)
            logger.AcceptFailed(new IOException());

        Assert.Equal(LogThrottle.MaxRecords, log.Records.Count);
    }

    private sealed class SteppedClock : TimeProvider
    {
        private long _now = 1;

        public void Step(TimeSpan time) => _now += (long)(time.TotalSeconds * TimestampFrequency);

        public override long GetTimestamp() => _now;
    }
}
