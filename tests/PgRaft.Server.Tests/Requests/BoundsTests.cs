using Microsoft.Extensions.Logging.Abstractions;

using PgRaft.Core;
using PgRaft.Server.Logging;
using PgRaft.Server.Protocol;
using PgRaft.Server.Requests;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public class BoundsTests
{
    [Fact]
    public void Requests_beyond_the_bound_are_refused_and_not_counted()
    {
        var counters = new RequestCounters(2);
        int changes = 0;
        counters.Changed += () => changes++;
        Assert.True(counters.TryEnter());
        Assert.False(counters.IsFull);
        Assert.True(counters.TryEnter());
        Assert.True(counters.IsFull);
        Assert.False(counters.TryEnter());
        counters.Leave();
        Assert.False(counters.IsFull);
        Assert.Equal((1, 1L, 3), (counters.Pending, counters.Processed, changes));
    }

    // None is looked at beyond the bound, so none of the handlers is needed.
    [Fact]
    public async Task A_request_beyond_the_bound_counts_as_answered_with_an_error()
    {
        var meters = new RequestMeters();
        var budget = new MemoryBudget(Wire.MaxFrameBytes);
        var dispatcher = new RequestDispatcher(
            null!, null!, null!, null!, null!, new RequestCounters(0), meters, budget,
            NullLogger.Instance, TestContext.Current.CancellationToken);
        using var response = new ResponseBuilder(budget);
        byte[] frame = new byte[Wire.LengthBytes + Wire.HeaderBytes];
        new RequestHeader(RequestCode.KvPut, 0, 7, 1000, 0).Write(frame, 0);

        var answer = ForwardedResponse.Read(
            await dispatcher.ExecuteAsync(
                frame.AsMemory(Wire.LengthBytes), response, _ => default,
                TestContext.Current.CancellationToken));

        Assert.Equal(StatusCode.Busy, answer.Status);
        Assert.Equal(1, meters.Count(RequestCode.KvPut, RequestOutcome.Error));
        Assert.Equal(0, meters.Writes.Count);
    }

    [Fact]
    public async Task Heavy_work_runs_one_at_a_time_and_off_the_pool()
    {
        using var heavy = new HeavyWork();
        var release = Eventually.NewSignal();
        bool first = false;
        var one = heavy.RunAsync(
            () =>
            {
                first = !Thread.CurrentThread.IsThreadPoolThread;
                release.Task.Wait();
                return 1;
            },
            TestContext.Current.CancellationToken);
        bool secondRan = false;
        var two = heavy.RunAsync(() => secondRan = true, TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() => first, "the first runs");
        Assert.False(secondRan);
        release.SetResult();
        Assert.Equal((1, true), (await one, await two));
    }

    [Fact]
    public async Task Heavy_work_that_waits_can_be_given_up_and_a_failure_frees_the_turn()
    {
        using var heavy = new HeavyWork();
        await Assert.ThrowsAsync<InvalidCastException>(() => heavy.RunAsync<int>(
            () => throw new InvalidCastException(), TestContext.Current.CancellationToken));
        using var given = new CancellationTokenSource();
        await given.CancelAsync();
        bool ran = false;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => heavy.RunAsync(() => ran = true, given.Token));
        Assert.False(ran);
        Assert.Equal(5, await heavy.RunAsync(() => 5, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void What_is_frequent_is_reported_once_an_interval_with_its_count()
    {
        var limit = new RateLimit(TimeSpan.FromMinutes(1));
        Assert.True(limit.ShouldReport(out long count));
        Assert.Equal(1, count);
        Assert.False(limit.ShouldReport(out _));
        Assert.Equal(2, limit.Total);
        var eager = new RateLimit(TimeSpan.Zero);
        Assert.True(eager.ShouldReport(out _) && eager.ShouldReport(out _));
    }
}
