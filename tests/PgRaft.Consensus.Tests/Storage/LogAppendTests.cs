// Taking entries in: order, skipping what is there, cutting what contradicts, what a wait means.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class LogAppendTests
{
    [Fact]
    public async Task A_compacted_entry_is_not_there_also_while_it_is_in_memory()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        fixture.Log.CompactPrefix(200);
        long first = fixture.Log.FirstIndex;
        Assert.InRange(first, 2, 200);
        Assert.Equal(first, fixture.Log.Read(first).Index);
        Assert.Equal(0, fixture.Log.Read(first - 1, 1, int.MaxValue, []));
    }

    [Fact]
    public async Task A_new_log_is_empty_and_the_first_entry_gets_index_1()
    {
        using var fixture = new LogFixture();
        Assert.Equal((1, 0), (fixture.Log.FirstIndex, fixture.Log.LastIndex));
        Assert.Equal(0, fixture.Log.DurableIndex);
        Assert.Equal(1, fixture.Log.Append(1, EntryKind.Empty, []));
        await fixture.Log.WaitDurableAsync(1);
        Assert.Equal(1, fixture.Log.DurableIndex);
    }

    [Fact]
    public void Payloads_are_copied()
    {
        using var fixture = new LogFixture();
        byte[] mine = "one"u8.ToArray();
        fixture.Log.Append(1, EntryKind.Command, mine);
        fixture.Log.AppendRange([new LogRecord(2, 1, EntryKind.Command, mine)]);
        Array.Clear(mine);
        Assert.Equal("one", fixture.Text(1));
        Assert.Equal("one", fixture.Text(2));
    }

    [Fact]
    public void A_term_that_goes_back_is_refused_and_nothing_changes()
    {
        using var fixture = new LogFixture();
        fixture.Log.Append(3, EntryKind.Empty, []);
        Assert.Throws<InvariantViolatedException>(() => fixture.Log.Append(2, EntryKind.Empty, []));
        Assert.Throws<InvariantViolatedException>(
            () => fixture.Log.AppendRange([LogFixture.Entry(2, 2)]));
        Assert.Throws<InvariantViolatedException>(
            () => fixture.Log.AppendRange([LogFixture.Entry(2, 5), LogFixture.Entry(3, 4)]));
        Assert.Equal("1:3", fixture.Terms);
    }

    [Fact]
    public void A_gap_is_refused()
    {
        using var fixture = new LogFixture();
        Assert.Throws<ArgumentException>(() => fixture.Log.AppendRange([LogFixture.Entry(2, 1)]));
        Assert.Throws<ArgumentException>(
            () => fixture.Log.AppendRange([LogFixture.Entry(1, 1), LogFixture.Entry(3, 1)]));
        Assert.Equal(0, fixture.Log.LastIndex);
    }

    [Fact]
    public void A_payload_beyond_the_limit_is_refused()
    {
        using var fixture = new LogFixture();
        byte[] large = new byte[LogOptions.MaxPayloadBytes + 1];
        var error = Assert.Throws<PgraftException>(
            () => fixture.Log.Append(1, EntryKind.Command, large));
        Assert.Equal(StatusCode.TooLarge, error.Code);
    }

    [Fact]
    public void A_delayed_duplicate_drops_nothing()
    {
        using var fixture = new LogFixture();
        LogRecord[] all = [LogFixture.Entry(1, 1), LogFixture.Entry(2, 1), LogFixture.Entry(3, 2)];
        fixture.Log.AppendRange(all);
        fixture.Log.AppendRange(all.AsSpan(0, 2));
        fixture.Log.AppendRange([]);
        Assert.Equal("1:1 2:1 3:2", fixture.Terms);
    }

    [Fact]
    public async Task A_conflict_cuts_from_there_and_only_from_there()
    {
        using var fixture = new LogFixture();
        fixture.Log.AppendRange(
            [.. Enumerable.Range(1, 4).Select(index => LogFixture.Entry(index, 1))]);
        await fixture.Log.WaitDurableAsync(4);
        fixture.Log.AppendRange([LogFixture.Entry(2, 1, "ignored"), LogFixture.Entry(3, 2, "new")]);
        Assert.Equal("1:1 2:1 3:2", fixture.Terms);
        Assert.Equal("2/1", fixture.Text(2));
        Assert.Equal("new", fixture.Text(3));
        Assert.Equal(-1, fixture.Log.TermAt(4));
        await fixture.Log.WaitDurableAsync(3);
        fixture.Reopen(disk: fixture.Disk.Reboot(Survival.Nothing, new Random(1)));
        Assert.Equal("1:1 2:1 3:2", fixture.Terms);
    }

    [Fact]
    public async Task Durable_never_counts_an_entry_that_was_cut_while_it_was_synced()
    {
        using var release = new ManualResetEventSlim();
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 2);
        fixture.Disk.SyncReached.Reset();
        fixture.Disk.HoldSyncs = release;
        fixture.Log.AppendRange([LogFixture.Entry(3, 1), LogFixture.Entry(4, 1)]);
        Task old = fixture.Log.WaitDurableAsync(4).AsTask();
        Assert.True(fixture.Disk.WaitForSync());

        // Entries 3 and 4 are in the writer's hands.
        fixture.Log.AppendRange([LogFixture.Entry(2, 2)]);
        Assert.Equal(1, fixture.Log.DurableIndex);
        var error = await Assert.ThrowsAsync<PgraftException>(() => old);
        Assert.Equal(StatusCode.NotDone, error.Code);
        var seen = new List<long>();
        fixture.Log.Durable = seen.Add;
        fixture.Disk.HoldSyncs = null;
        release.Set();
        await fixture.Log.WaitDurableAsync(2);
        fixture.Reopen();
        Assert.Equal([2], seen);
        Assert.Equal("1:1 2:2", fixture.Terms);
    }

    [Fact]
    public async Task Waiting_ends_only_after_the_sync()
    {
        using var release = new ManualResetEventSlim();
        using var fixture = new LogFixture();
        fixture.Disk.SyncReached.Reset();
        fixture.Disk.HoldSyncs = release;
        long index = fixture.Log.Append(1, EntryKind.Command, "x"u8);
        Task wait = fixture.Log.WaitDurableAsync(index).AsTask();
        Assert.True(fixture.Disk.WaitForSync());
        Assert.False(wait.IsCompleted);
        Assert.Equal(0, fixture.Log.DurableIndex);
        Assert.Equal("x", fixture.Text(index));
        release.Set();
        await wait;
        Assert.Equal(1, fixture.Log.DurableIndex);
    }

    [Fact]
    public async Task What_gathers_during_a_sync_becomes_one_batch()
    {
        using var release = new ManualResetEventSlim();
        using var fixture = new LogFixture();
        fixture.Disk.SyncReached.Reset();
        fixture.Disk.HoldSyncs = release;
        fixture.Log.Append(1, EntryKind.Command, "first"u8);
        Assert.True(fixture.Disk.WaitForSync());
        int before = fixture.Disk.Syncs;
        for (int i = 0; i < 20; i++)
        {
            fixture.Log.Append(1, EntryKind.Command, "more"u8);
        }

        release.Set();
        await fixture.Log.WaitDurableAsync(21);
        Assert.Equal(2, fixture.Disk.Syncs - before);
    }

    [Fact]
    public async Task Waiting_for_an_entry_that_is_not_there_is_refused()
    {
        using var fixture = new LogFixture();
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
            () => fixture.Log.WaitDurableAsync(1).AsTask());
    }

    [Fact]
    public async Task Closing_writes_what_is_queued()
    {
        using var fixture = new LogFixture();
        for (int i = 0; i < 50; i++)
        {
            fixture.Log.Append(1, EntryKind.Command, "queued"u8);
        }

        fixture.Log.Dispose();
        var error = Assert.Throws<PgraftException>(
            () => fixture.Log.Append(1, EntryKind.Empty, []));
        Assert.Equal(StatusCode.Stopping, error.Code);
        fixture.Reopen(disk: fixture.Disk.Reboot(Survival.Nothing, new Random(1)));
        Assert.Equal(50, fixture.Log.LastIndex);
        await fixture.AppendAsync(1, 1);
    }

    [Fact]
    public async Task An_entry_larger_than_a_segment_gets_a_larger_one()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 1, payloadBytes: 10_000);
        await fixture.AppendAsync(1, 2);
        fixture.Reopen();
        Assert.Equal(10_000, fixture.Log.Read(1).Payload.Length);
        Assert.Equal(20, fixture.Log.Read(3).Payload.Length);
    }

    [Fact]
    public async Task Reading_respects_both_limits_but_always_yields_one()
    {
        using var fixture = new LogFixture();
        await fixture.AppendAsync(1, 200);
        List<LogRecord> into = [];
        Assert.Equal(3, fixture.Log.Read(1, 3, int.MaxValue, into));
        Assert.Equal([1L, 2L, 3L], into.Select(record => record.Index));
        Assert.Equal(2, fixture.Log.Read(1, 100, 45, []));
        Assert.Equal(1, fixture.Log.Read(150, 100, 1, []));
        Assert.Equal(51, fixture.Log.Read(150, 100, int.MaxValue, []));
        Assert.Equal(0, fixture.Log.Read(201, 100, int.MaxValue, []));
        Assert.Equal(0, fixture.Log.Read(0, 100, int.MaxValue, []));
        var error = Assert.Throws<PgraftException>(() => fixture.Log.Read(201));
        Assert.Equal(StatusCode.NotFound, error.Code);
    }

    [Fact]
    public async Task Terms_are_known_from_the_one_before_the_first_to_the_last()
    {
        using var fixture = new LogFixture(baseIndex: 10, baseTerm: 4);
        await fixture.AppendAsync(4, 2);
        await fixture.AppendAsync(7, 2);
        IEnumerable<long> terms = Enumerable.Range(9, 7).Select(i => fixture.Log.TermAt(i));
        Assert.Equal([-1, 4, 4, 4, 7, 7, -1], terms);
    }

    // The writer is woken before the entries are there: it must be woken again when it came too
    // early, and it does when nothing is new.
    [Fact]
    public async Task A_batch_of_known_entries_does_not_lose_the_next_wake()
    {
        using var fixture = new LogFixture();
        var batch = Enumerable.Range(1, 20).Select(i => LogFixture.Entry(i, 1)).ToArray();
        for (int round = 0; round < 200; round++)
        {
            fixture.Log.AppendRange(batch);
            long next = fixture.Log.LastIndex + 1;
            fixture.Log.AppendRange([LogFixture.Entry(next, 1)]);
            await fixture.Log.WaitDurableAsync(next).AsTask().WaitAsync(
                TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }

        Assert.Equal(220, fixture.Log.DurableIndex);
    }
}
