// Entries that gather: on disk together when they are told to, and sooner when anybody needs one.
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class LogGatheringTests
{
    [Fact]
    public async Task They_are_written_together_when_it_is_time()
    {
        using var fixture = new LogFixture();
        int syncs = fixture.Disk.Syncs;
        Gather(fixture, 3);
        await LogFixture.NotWrittenAfterAsync(fixture.Log, 0);

        fixture.Log.WriteGathered();

        await LogFixture.WrittenAsync(fixture.Log, 3);
        Assert.Equal(syncs + 1, fixture.Disk.Syncs);
        Gather(fixture, 1);
        await LogFixture.NotWrittenAfterAsync(fixture.Log, 3);
    }

    [Fact]
    public async Task Whoever_waits_for_one_has_it_written()
    {
        using var fixture = new LogFixture();
        Gather(fixture, 3);
        await fixture.Log.WaitDurableAsync(2).AsTask().WaitAsync(TestCluster.Limit);
        Assert.Equal(3, fixture.Log.DurableIndex);
    }

    [Fact]
    public async Task Those_before_them_do_not_wait_for_them()
    {
        using var release = new ManualResetEventSlim();
        using var fixture = new LogFixture();
        fixture.Disk.HoldSyncs = release;
        fixture.Log.Append(1, EntryKind.Command, "x"u8);
        Assert.True(fixture.Disk.WaitForSync());
        fixture.Log.Append(1, EntryKind.Command, "x"u8);
        Gather(fixture, 1);
        release.Set();
        await LogFixture.WrittenAsync(fixture.Log, 3);
    }

    [Fact]
    public async Task What_does_not_gather_takes_them_along()
    {
        using var fixture = new LogFixture();
        Gather(fixture, 2);
        fixture.Log.Append(1, EntryKind.Command, "x"u8);
        await LogFixture.WrittenAsync(fixture.Log, 3);
    }

    [Fact]
    public async Task What_a_leader_sends_takes_them_along()
    {
        using var fixture = new LogFixture();
        Gather(fixture, 3);
        fixture.Log.AppendRange([LogFixture.Entry(3, 2)]);
        await LogFixture.WrittenAsync(fixture.Log, 3);
        Assert.Equal("1:1 2:1 3:2", fixture.Terms);
    }

    [Fact]
    public async Task After_a_reset_none_is_left()
    {
        using var fixture = new LogFixture();
        Gather(fixture, 3);
        fixture.Log.Reset(20, 2);
        fixture.Log.AppendRange([LogFixture.Entry(21, 2)]);
        await LogFixture.WrittenAsync(fixture.Log, 21);
    }

    [Fact]
    public void A_log_that_is_closed_has_them_on_disk()
    {
        using var fixture = new LogFixture();
        Gather(fixture, 3);
        fixture.Reopen();
        Assert.Equal("1:1 2:1 3:1", fixture.Terms);
    }

    private static void Gather(LogFixture fixture, int count)
    {
        for (int i = 0; i < count; i++)
        {
            fixture.Log.Append(1, EntryKind.Command, "x"u8, gathers: true);
        }
    }
}
