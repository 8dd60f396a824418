// Calls on the thread that writes the log: what they append is on disk before they go on.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class LogCallTests
{
    [Fact]
    public async Task A_call_writes_what_it_waits_for()
    {
        using var fixture = new LogFixture();
        await fixture.OnWriterAsync(() =>
        {
            int syncs = fixture.Disk.Syncs;
            fixture.Log.AppendRange([LogFixture.Entry(1, 1), LogFixture.Entry(2, 1)]);

            Assert.True(IsDurable(fixture.Log, 2));
            Assert.Equal(2, fixture.Log.DurableIndex);
            Assert.Equal(syncs + 1, fixture.Disk.Syncs);
        });
        fixture.Reopen();
        Assert.Equal("1:1 2:1", fixture.Terms);
    }

    [Fact]
    public async Task A_call_writes_through_the_end_of_a_segment_and_after_a_reset()
    {
        using var fixture = new LogFixture();
        string large = new('a', LogOptions.MinSegmentBytes / 3);
        await fixture.OnWriterAsync(() =>
        {
            fixture.Log.AppendRange(
                [.. Enumerable.Range(1, 8).Select(i => LogFixture.Entry(i, 1, large))]);
            Assert.True(IsDurable(fixture.Log, 8));

            fixture.Log.Reset(20, 2);
            fixture.Log.AppendRange([LogFixture.Entry(21, 2)]);
            Assert.True(IsDurable(fixture.Log, 21));
        });
        fixture.Reopen(baseIndex: 20, baseTerm: 2);
        Assert.Equal("21:2", fixture.Terms);
    }

    [Fact]
    public async Task A_call_learns_that_the_disk_has_failed_and_the_next_ones_too()
    {
        using var fixture = new LogFixture();
        var failures = new List<Exception>();
        fixture.Log.Failed = failures.Add;
        fixture.Disk.FailSync = fixture.Disk.Syncs + 1;
        await fixture.OnWriterAsync(() =>
        {
            fixture.Log.AppendRange([LogFixture.Entry(1, 1)]);
            Assert.Equal(
                StatusCode.IoError,
                Assert.Throws<PgraftException>(() => IsDurable(fixture.Log, 1)).Code);
        });
        await fixture.OnWriterAsync(() => Assert.Equal(
            StatusCode.IoError,
            Assert.Throws<PgraftException>(
                () => fixture.Log.AppendRange([LogFixture.Entry(1, 1)])).Code));
        fixture.Log.Dispose();
        Assert.Single(failures);
    }

    // It is in the hands of the batch that has ended, which is not over. The disk is held until
    // the end of that batch has something to go on with. Written within it, it would hang the log.
    [Fact(Timeout = 60_000)]
    public async Task What_the_end_of_a_batch_appends_is_written_after_it()
    {
        using var fixture = new LogFixture();
        using var held = new ManualResetEventSlim();
        fixture.Disk.HoldSyncs = held;
        bool wasDurable = true;
        async Task AppendTwiceAsync()
        {
            long index = fixture.Log.Append(1, EntryKind.Command, "one"u8);
            await fixture.Log.WaitDurableAsync(index, continueOnWriter: true)
                .ConfigureAwait(false);
            index = fixture.Log.Append(1, EntryKind.Command, "two"u8);
            var durable = fixture.Log.WaitDurableAsync(index).AsTask();
            wasDurable = durable.IsCompleted;
            await durable;
        }

        Task both = AppendTwiceAsync();
        held.Set();
        await both.WaitAsync(TestContext.Current.CancellationToken);
        Assert.False(wasDurable);
        Assert.Equal("two", fixture.Text(2));
    }

    // Whoever awaits must go on, if only to learn that it is too late.
    [Fact]
    public async Task A_call_of_a_closed_log_is_run_all_the_same()
    {
        using var fixture = new LogFixture();
        fixture.Log.Dispose();
        await fixture.OnWriterAsync(() => Assert.Equal(
            StatusCode.Stopping,
            Assert.Throws<PgraftException>(
                () => fixture.Log.AppendRange([LogFixture.Entry(1, 1)])).Code));
    }

    // It would wait for itself.
    [Fact]
    public async Task A_call_cannot_close_the_log()
    {
        using var fixture = new LogFixture();
        await fixture.OnWriterAsync(
            () => Assert.Throws<InvalidOperationException>(fixture.Log.Dispose));
        fixture.Log.Append(1, EntryKind.Command, "x"u8);
        await LogFixture.WrittenAsync(fixture.Log, 1);
    }

    [Fact]
    public async Task Calls_that_wait_for_a_hung_disk_are_run_when_it_fails()
    {
        using var fixture = new LogFixture();
        fixture.Disk.FailSync = fixture.Disk.Syncs + 1;
        var calls = Enumerable.Range(0, 20)
            .Select(_ => fixture.OnWriterAsync(() => fixture.Log.Append(
                1, EntryKind.Command, "x"u8)))
            .ToList();
        foreach (var call in calls)
        {
            try
            {
                await call;
            }
            catch (PgraftException e)
            {
                Assert.Equal(StatusCode.IoError, e.Code);
            }
        }
    }

    private static bool IsDurable(SegmentedLog log, long index) =>
        log.WaitDurableAsync(index).AsTask().IsCompletedSuccessfully;
}
