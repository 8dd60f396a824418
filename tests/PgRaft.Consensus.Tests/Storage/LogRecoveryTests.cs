// Opening what is on disk: a torn end is dropped, damage elsewhere is refused by file and offset.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class LogRecoveryTests
{
    // Header and 20 bytes of payload, aligned.
    private const int RecordBytes = 64;

    private static int OffsetOf(int index) => SegmentHeader.Bytes + ((index - 1) * RecordBytes);

    [Fact]
    public async Task A_torn_last_batch_is_dropped_and_its_remains_never_come_back()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 10);
        fixture.Log.Dispose();

        // A batch of which the first sector was lost: as a power failure before the sync leaves it.
        fixture.Log.Dispose();
        using (var batch = new LogFixture(fixture.Disk))
        {
            batch.Log.AppendRange(Enumerable.Range(11, 20).Select(Record).ToArray());
            await batch.Log.WaitDurableAsync(30);
        }

        fixture.Disk.Blank(LogFixture.Segment(1), OffsetOf(11), 512);
        fixture.Reopen();
        Assert.Equal(10, fixture.Log.LastIndex);
        byte[] rest = fixture.Disk.Content(LogFixture.Segment(1))[OffsetOf(11)..];
        Assert.DoesNotContain(rest, value => value != 0);
        await fixture.AppendAsync(2, 1);
        fixture.Reopen();
        Assert.Equal("11:2", $"{fixture.Log.LastIndex}:{fixture.Log.TermAt(11)}");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(9)]
    [InlineData(10)]
    public async Task A_flipped_bit_is_refused_with_file_and_offset(int index)
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 10);
        fixture.Log.Dispose();
        for (int within = 0; within < RecordHeader.Bytes + 20; within++)
        {
            SimulatedDisk damaged = fixture.Disk.Clone();
            damaged.Flip(LogFixture.Segment(1), OffsetOf(index) + within);
            PgraftException error = Refused(damaged);
            Assert.Equal(StatusCode.IoError, error.Code);
            Assert.Contains(LogFixture.Segment(1), error.Message, StringComparison.Ordinal);
            string end = $"at offset {OffsetOf(index)}";
            Assert.EndsWith(end, error.Message, StringComparison.Ordinal);
            Assert.NotNull(error.Hint);
        }
    }

    [Fact]
    public async Task A_lost_sector_before_a_later_batch_is_damage_not_a_torn_end()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 40);
        fixture.Log.Dispose();
        fixture.Disk.Blank(LogFixture.Segment(1), 1024, 512);
        Assert.Contains("at offset 1024", Refused(fixture.Disk).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Damage_in_an_older_segment_is_refused()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        fixture.Log.Dispose();
        fixture.Disk.Blank(LogFixture.Segment(2), 2048, 512);
        PgraftException error = Refused(fixture.Disk);
        Assert.Contains(
            $"{LogFixture.Segment(2)}\" is damaged at offset 2048",
            error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_unused_end_of_an_older_segment_is_not_read_as_records()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 1, payloadBytes: 3000);
        await fixture.AppendAsync(1, 1, payloadBytes: 3000);
        fixture.Reopen();
        Assert.Equal("1:1 2:1", fixture.Terms);
    }

    [Fact]
    public async Task A_segment_cut_short_is_refused()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 10);
        fixture.Log.Dispose();
        fixture.Disk.Cut(LogFixture.Segment(1), 3000);
        Assert.Contains("cut short", Refused(fixture.Disk).Detail, StringComparison.Ordinal);
        fixture.Disk.Cut(LogFixture.Segment(1), 10);
        Assert.Contains(
            "inside its header",
            Refused(fixture.Disk).Detail,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_segment_header_is_refused()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 1);
        fixture.Log.Dispose();
        for (int offset = 0; offset < SegmentHeader.Bytes; offset++)
        {
            SimulatedDisk damaged = fixture.Disk.Clone();
            damaged.Flip(LogFixture.Segment(1), offset);
            Assert.Contains("segment header", Refused(damaged).Detail, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_segment_under_anothers_name_is_refused()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 1);
        fixture.Log.Dispose();
        fixture.Disk.Rename(LogFixture.Segment(1), LogFixture.Segment(7));
        Assert.Contains("is segment 1's", Refused(fixture.Disk).Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3, 100, "follows term 3, not 1")]
    [InlineData(1, 90, "wrong")]
    public async Task A_segment_of_another_log_is_refused(
        long otherTerm, int payloadBytes, string reason)
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 60, payloadBytes: 100);
        fixture.Log.Dispose();
        using var other = new LogFixture();
        await other.AppendAsync(otherTerm, 60, payloadBytes);
        other.Log.Dispose();
        using (IStorageFile file = fixture.Disk.Open(LogFixture.Segment(2)))
        {
            file.Write(0, other.Disk.Content(LogFixture.Segment(2)));
        }

        Assert.Contains(reason, Refused(fixture.Disk).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_segment_is_refused_by_name()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        fixture.Log.Dispose();
        fixture.Disk.Delete(LogFixture.Segment(2));
        PgraftException error = Refused(fixture.Disk);
        Assert.Contains(LogFixture.Segment(2), error.Message, StringComparison.Ordinal);
        Assert.Contains("missing", error.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_log_that_begins_beyond_the_snapshot_is_refused()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        fixture.Log.CompactPrefix(150);
        Assert.True(fixture.Log.FirstIndex > 100);
        long first = fixture.Log.FirstIndex;
        fixture.Log.Dispose();
        Assert.Contains(
            $"begins at index {first}",
            Refused(fixture.Disk).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "ends at index 60",
            Refused(fixture.Disk, 60, 1).Message,
            StringComparison.Ordinal);
        fixture.Reopen(first - 1, 1);
        Assert.Equal(200, fixture.Log.LastIndex);
    }

    [Theory]
    [InlineData(20, 1)]
    [InlineData(10, 2)]
    public async Task A_log_that_the_snapshot_has_overtaken_or_contradicts_starts_after_it(
        long baseIndex, long baseTerm)
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 12);
        fixture.Reopen(baseIndex, baseTerm);
        Assert.Equal((baseIndex + 1, baseIndex, baseIndex),
            (fixture.Log.FirstIndex, fixture.Log.LastIndex, fixture.Log.DurableIndex));
        Assert.Equal(baseTerm, fixture.Log.TermAt(baseIndex));
        await fixture.AppendAsync(3, 1);
        fixture.Reopen(baseIndex, baseTerm);
        Assert.Equal($"{baseIndex + 1}:3", fixture.Terms);
        Assert.False(fixture.Disk.Exists(LogFixture.Segment(1)));
    }

    [Fact]
    public async Task A_log_that_goes_on_beyond_the_snapshot_is_kept()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 12);
        fixture.Reopen(10, 1);
        Assert.Equal((1, 12), (fixture.Log.FirstIndex, fixture.Log.LastIndex));
    }

    [Fact]
    public async Task What_a_killed_process_left_in_the_kernels_memory_is_written_before_it_counts()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 3);
        fixture.Disk.FailSync = fixture.Disk.Syncs + 1;
        fixture.Log.Append(1, EntryKind.Command, "in the cache only"u8);
        await Assert.ThrowsAsync<PgraftException>(() => fixture.Log.WaitDurableAsync(4).AsTask());
        fixture.Disk.FailSync = 0;
        fixture.Reopen();
        Assert.Equal(4, fixture.Log.DurableIndex);
        fixture.Reopen(disk: fixture.Disk.Reboot(Survival.Nothing, new Random(1)));
        Assert.Equal("in the cache only", fixture.Text(4));
    }

    // As above, but of names: a segment may be under its name in the kernel's memory only, when the
    // process ended between giving it and the sync of the directory. Every sync fails in turn.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_acknowledged_after_any_failed_sync_survives_a_power_failure(
        bool afterReset)
    {
        int failed = 0;
        for (int sync = 1; ; sync++)
        {
            using var fixture = new LogFixture();
            fixture.Disk.FailSync = fixture.Disk.Syncs + sync;
            if (await FillAsync(fixture, afterReset))
            {
                break;
            }

            failed++;
            fixture.Disk.FailSync = 0;
            var (index, term) = afterReset ? (20L, 2L) : (0, 0);
            fixture.Reopen(index, term);
            await fixture.AppendAsync(3, 1);
            long last = fixture.Log.LastIndex;
            SimulatedDisk survivor = fixture.Disk.Reboot(Survival.Nothing, new Random(1));
            fixture.Reopen(index, term, survivor);
            Assert.Equal((sync, last, 3), (sync, fixture.Log.LastIndex, fixture.Log.TermAt(last)));
        }

        Assert.True(failed > 10, $"{failed} syncs");
    }

    // Four segments, or two with a reset between; false when a sync failed.
    private static async Task<bool> FillAsync(LogFixture fixture, bool withReset)
    {
        try
        {
            await fixture.AppendAsync(1, 7, payloadBytes: 1200);
            if (withReset)
            {
                fixture.Log.Reset(20, 2);
                await fixture.AppendAsync(2, 4, payloadBytes: 1200);
            }

            return true;
        }
        catch (PgraftException e) when (e.Code == StatusCode.IoError)
        {
            fixture.Log.Dispose();
            return false;
        }
    }

    [Fact]
    public async Task An_unfinished_new_segment_is_deleted()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 1);
        fixture.Log.Dispose();
        fixture.Disk.Create("/log/segment-new.tmp").Dispose();
        fixture.Reopen();
        Assert.False(fixture.Disk.Exists("/log/segment-new.tmp"));
        Assert.Equal(LogOptions.MinSegmentBytes, fixture.Log.DiskBytes);
    }

    [Fact]
    public async Task An_entry_damaged_after_start_is_refused_when_read()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        fixture.Disk.Flip(LogFixture.Segment(1), OffsetOf(3) + RecordHeader.Bytes);
        fixture.Disk.Flip(LogFixture.Segment(1), OffsetOf(4) + 8);
        Assert.Contains(
            "checksum",
            Assert.Throws<PgraftException>(() => fixture.Log.Read(3)).Detail,
            StringComparison.Ordinal);
        Assert.Contains(
            "not there",
            Assert.Throws<PgraftException>(() => fixture.Log.Read(4)).Detail,
            StringComparison.Ordinal);
        Assert.Equal(5, fixture.Log.Read(5).Index);
    }

    private static LogRecord Record(int index) =>
        LogFixture.Entry(index, 1, new string('b', 20));

    [Fact]
    public async Task A_segment_of_a_newer_version_is_told_from_a_damaged_one()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 3);
        fixture.Log.Dispose();
        string path = LogFixture.Segment(1);
        byte[] header = fixture.Disk.Content(path)[..SegmentHeader.Bytes];
        header[8] = 7;
        int checkedBytes = SegmentHeader.Bytes - sizeof(uint);
        BitConverter.TryWriteBytes(
            header.AsSpan(checkedBytes), Crc32C.Of(header.AsSpan(0, checkedBytes)));
        using (var file = fixture.Disk.Open(path))
        {
            file.Write(0, header);
        }

        var error = Refused(fixture.Disk);
        Assert.Equal(
            (StatusCode.WrongState,
                $"log segment \"{path}\" has version 7, but this pgraft reads no newer one than 1"),
            (error.Code, error.Message));
        fixture.Disk.Flip(path, 10);
        Assert.Equal(StatusCode.IoError, Refused(fixture.Disk).Code);
    }

    private static PgraftException Refused(
        SimulatedDisk disk, long baseIndex = 0, long baseTerm = 0) =>
        Assert.Throws<PgraftException>(
            () => SegmentedLog.Open(LogModel.OptionsOn(disk), baseIndex, baseTerm));
}
