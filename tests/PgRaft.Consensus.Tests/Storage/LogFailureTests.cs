// Disks that fail or fill up, compaction, and reset.
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class LogFailureTests
{
    [Fact]
    public async Task A_failed_sync_is_final()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 2);
        var failures = new List<Exception>();
        fixture.Log.Failed = failures.Add;
        fixture.Disk.FailSync = fixture.Disk.Syncs + 1;
        long index = fixture.Log.Append(1, EntryKind.Command, "lost"u8);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => fixture.Log.WaitDurableAsync(index).AsTask());
        Assert.Equal(StatusCode.IoError, error.Code);

        // The disk works again, and it does not matter.
        fixture.Disk.FailSync = 0;
        Action[] calls =
        [
            () => fixture.Log.Append(1, EntryKind.Empty, []),
            () => fixture.Log.AppendRange([LogFixture.Entry(3, 1)]),
            () => fixture.Log.WaitDurableAsync(1).AsTask().GetAwaiter().GetResult(),
            () => fixture.Log.Read(1),
            () => fixture.Log.CompactPrefix(1),
            () => fixture.Log.Reset(9, 9),
        ];
        Assert.All(calls, call => Assert.Equal(
            StatusCode.IoError, Assert.Throws<PgraftException>(call).Code));
        Assert.Equal(2, fixture.Log.DurableIndex);
        fixture.Log.Dispose();
        Assert.Single(failures);
    }

    [Fact]
    public void A_handler_that_throws_does_not_end_the_process()
    {
        using var fixture = new LogFixture();
        fixture.Log.Failed = _ => throw new InvalidOperationException("handler");
        fixture.Log.Durable = _ => throw new InvalidOperationException("handler");
        fixture.Log.Append(1, EntryKind.Empty, []);
        fixture.Log.Dispose();
        var error = Assert.Throws<PgraftException>(
            () => fixture.Log.Append(1, EntryKind.Empty, []));
        Assert.Equal(StatusCode.Internal, error.Code);
    }

    [Fact]
    public async Task A_full_disk_fails_the_log_and_a_restart_with_room_recovers()
    {
        using var fixture = new LogFixture();
        fixture.Disk.SpaceBytes = 2 * LogOptions.MinSegmentBytes;
        var error = await Assert.ThrowsAsync<PgraftException>(() => fixture.AppendAsync(1, 1000));
        Assert.Equal(StatusCode.DiskFull, error.Code);
        Assert.NotNull(error.Hint);
        long durable = fixture.Log.DurableIndex;
        Assert.True(durable > 10);
        fixture.Disk.SpaceBytes = long.MaxValue;
        fixture.Reopen(disk: fixture.Disk.Reboot(Survival.Nothing, new Random(1)));
        Assert.Equal(durable, fixture.Log.LastIndex);
        await fixture.AppendAsync(1, 200);
    }

    [Fact]
    public void Opening_on_a_full_disk_says_so()
    {
        var disk = new SimulatedDisk { SpaceBytes = 100 };
        var error = Assert.Throws<PgraftException>(
            () => SegmentedLog.Open(LogModel.OptionsOn(disk), 0, 0));
        Assert.Equal(StatusCode.DiskFull, error.Code);
        Assert.Empty(disk.List(LogFixture.Directory));
    }

    [Fact]
    public async Task Compaction_drops_whole_segments_and_keeps_the_term_before_the_first()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 100);
        await fixture.AppendAsync(2, 100);
        long bytes = fixture.Log.DiskBytes;
        fixture.Log.CompactPrefix(130);
        long first = fixture.Log.FirstIndex;
        Assert.InRange(first, 2, 131);
        Assert.Equal(-1, fixture.Log.TermAt(first - 2));
        Assert.Equal(first - 1 <= 100 ? 1 : 2, fixture.Log.TermAt(first - 1));
        var error = Assert.Throws<PgraftException>(() => fixture.Log.Read(first - 1));
        Assert.Equal(StatusCode.NotFound, error.Code);
        Assert.Equal(0, fixture.Log.Read(first - 1, 10, 1000, []));
        fixture.Log.Dispose();
        Assert.True(fixture.Log.DiskBytes < bytes);
        Assert.False(fixture.Disk.Exists(LogFixture.Segment(1)));
        fixture.Reopen(130, 2);
        Assert.Equal((first, 200L), (fixture.Log.FirstIndex, fixture.Log.LastIndex));
        Assert.Equal(first - 1 <= 100 ? 1 : 2, fixture.Log.TermAt(first - 1));
    }

    // Through several segments, none of which could be made ready ahead: that thread deletes.
    [Fact]
    public async Task Entries_go_on_while_the_disk_takes_for_ever_to_delete_what_was_dropped()
    {
        using var release = new ManualResetEventSlim();
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        fixture.Disk.HoldDeletes = release;
        try
        {
            await Task.Run(
                () => fixture.Log.CompactPrefix(200), TestContext.Current.CancellationToken)
                .WaitAsync(TestCluster.Limit);
            long first = fixture.Log.FirstIndex;
            Assert.InRange(first, 2, 200);
            await fixture.AppendAsync(1, 200).WaitAsync(TestCluster.Limit);
            Assert.Equal(400, fixture.Log.DurableIndex);
            Assert.Equal(first, fixture.Log.Read(first).Index);
            Assert.True(fixture.Disk.Exists(LogFixture.Segment(1)));
        }
        finally
        {
            release.Set();
        }

        fixture.Log.Dispose();
        Assert.False(fixture.Disk.Exists(LogFixture.Segment(1)));
    }

    [Fact]
    public async Task Compaction_drops_nothing_that_is_not_durable()
    {
        using var release = new ManualResetEventSlim();
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 5);
        fixture.Disk.HoldSyncs = release;
        for (int i = 0; i < 200; i++)
        {
            fixture.Log.Append(1, EntryKind.Command, new byte[100]);
        }

        fixture.Log.CompactPrefix(200);
        Assert.Equal(1, fixture.Log.FirstIndex);
        release.Set();
        await fixture.Log.WaitDurableAsync(205);
    }

    [Fact]
    public async Task Compaction_waits_until_a_replacement_is_on_disk()
    {
        using var release = new ManualResetEventSlim();
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        fixture.Disk.HoldSyncs = release;
        fixture.Log.AppendRange([LogFixture.Entry(50, 2)]);
        fixture.Log.CompactPrefix(49);
        Assert.Equal(1, fixture.Log.FirstIndex);
        SimulatedDisk crashed = fixture.Disk.Reboot(Survival.Nothing, new Random(1));
        using (var old = new LogFixture(crashed, 49, 1))
        {
            Assert.Equal(200, old.Log.LastIndex);
        }

        release.Set();
        await fixture.Log.WaitDurableAsync(50);
        fixture.Log.CompactPrefix(49);
        Assert.Equal(50, fixture.Log.FirstIndex);
        fixture.Reopen(49, 1);
        Assert.Equal("50:2", fixture.Terms);
    }

    [Fact]
    public async Task Entries_below_the_first_are_skipped_unless_they_contradict_the_snapshot()
    {
        using var fixture = new LogFixture(baseIndex: 10, baseTerm: 3);
        fixture.Log.AppendRange(
            [LogFixture.Entry(9, 3), LogFixture.Entry(10, 3), LogFixture.Entry(11, 3)]);
        Assert.Equal("11:3", fixture.Terms);
        Assert.Throws<InvariantViolatedException>(
            () => fixture.Log.AppendRange([LogFixture.Entry(10, 4), LogFixture.Entry(11, 4)]));
        await fixture.Log.WaitDurableAsync(11);
        Assert.Equal("11:3", fixture.Terms);
    }

    [Fact]
    public async Task Reset_drops_everything_and_continues_after_the_snapshot()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        fixture.Log.Reset(500, 7);
        Assert.Equal((501, 500, 500),
            (fixture.Log.FirstIndex, fixture.Log.LastIndex, fixture.Log.DurableIndex));
        Assert.Equal(7, fixture.Log.TermAt(500));
        Assert.Equal(-1, fixture.Log.TermAt(200));
        await fixture.AppendAsync(7, 3);
        fixture.Reopen(500, 7);
        Assert.Equal("501:7 502:7 503:7", fixture.Terms);
        Assert.Single(fixture.Disk.List(LogFixture.Directory));
    }

    [Fact]
    public async Task Reset_to_an_older_snapshot_is_refused()
    {
        using var fixture = new LogFixture(baseIndex: 10, baseTerm: 1);
        Assert.Throws<InvariantViolatedException>(() => fixture.Log.Reset(9, 1));
        await fixture.AppendAsync(1, 1);
        Assert.Equal(11, fixture.Log.LastIndex);
    }

    [Fact]
    public async Task Reset_ends_waiting_for_what_it_drops_and_completes_what_the_snapshot_covers()
    {
        using var release = new ManualResetEventSlim();
        using var fixture = new LogFixture();
        fixture.Disk.HoldSyncs = release;
        fixture.Log.AppendRange(
            [.. Enumerable.Range(1, 4).Select(index => LogFixture.Entry(index, 1))]);
        Task covered = fixture.Log.WaitDurableAsync(2).AsTask();
        Task dropped = fixture.Log.WaitDurableAsync(4).AsTask();
        fixture.Log.Reset(3, 2);
        await covered;
        var error = await Assert.ThrowsAsync<PgraftException>(() => dropped);
        Assert.Equal(StatusCode.NotDone, error.Code);
        release.Set();
        await fixture.AppendAsync(2, 1);
        fixture.Reopen(3, 2);
        Assert.Equal("4:2", fixture.Terms);
    }

    [Fact]
    public async Task The_cache_is_bounded_and_what_left_it_is_read_from_disk()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 30, payloadBytes: 1000);
        fixture.Disk.Flip(LogFixture.Segment(1), SegmentHeader.Bytes + RecordHeader.Bytes);
        Assert.Throws<PgraftException>(() => fixture.Log.Read(1));
        Assert.Equal(1000, fixture.Log.Read(30).Payload.Length);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5000)]
    [InlineData(int.MaxValue)]
    public void An_impossible_segment_size_is_refused(int bytes)
    {
        LogOptions options = LogModel.OptionsOn(new SimulatedDisk()) with { SegmentBytes = bytes };
        Assert.Throws<ArgumentOutOfRangeException>(() => SegmentedLog.Open(options, 0, 0));
    }
}
