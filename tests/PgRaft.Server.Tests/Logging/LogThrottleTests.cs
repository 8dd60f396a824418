// A fault that repeats for ever does not fill the log, and what was left out is said.
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
        var throttle = new LogThrottle(clock);
        bool[] written = [.. Enumerable.Range(0, 100)
            .Select(_ => throttle.MayWrite(level, id, out long _))];

        Assert.Equal(Enumerable.Range(0, 100).Select(i => i < LogThrottle.MaxRecords), written);
        Assert.True(throttle.MayWrite(level, id + 1, out _));
        Assert.True(throttle.MayWrite(LogLevel.Debug, id, out _));

        clock.Step(LogThrottle.Window);
        Assert.True(throttle.MayWrite(level, id, out long leftOut));
        Assert.Equal(100 - LogThrottle.MaxRecords, leftOut);
        Assert.True(throttle.MayWrite(level, id, out long again));
        Assert.Equal(0, again);
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

    // However long the text is that it follows.
    [Fact]
    public void How_many_records_were_left_out_is_said_with_the_next()
    {
        var log = new LogRecorder();
        var clock = new SteppedClock();
        using var factory = new SinkLoggerFactory(log, () => false, clock);
        var logger = factory.CreateLogger("test");
        var failure = new InvalidCastException(new string('x', 5000));
        for (int i = 0; i < 1000; i++)
            logger.RequestFailed(failure, 1);

        clock.Step(LogThrottle.Window);
        logger.RequestFailed(failure, 1);

        Assert.EndsWith(
            $"xxx… ({1000 - LogThrottle.MaxRecords} more like this were left out)",
            log.Records.Last().Text, StringComparison.Ordinal);
    }

    private sealed class SteppedClock : TimeProvider
    {
        private long _now = 1;

        public void Step(TimeSpan time) => _now += (long)(time.TotalSeconds * TimestampFrequency);

        public override long GetTimestamp() => _now;
    }
}
