// Term and vote: durable when Save returns, never back, never changed, damage refused.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class TermStoreTests
{
    private const string Directory = "/data";
    private const string FilePath = "/data/term";

    [Fact]
    public void What_a_voter_promises_is_kept_with_its_vote()
    {
        var disk = new SimulatedDisk();
        var store = TermStore.Open(Directory, disk);
        Assert.Equal(0, store.FaithMs);
        store.KeepFaith(60_000);
        store.Save(3, 2);
        disk = disk.Reboot(Survival.Nothing, new Random(1));
        store = TermStore.Open(Directory, disk);
        Assert.Equal((3, 2), store.Current);
        Assert.Equal(60_000, store.FaithMs);
        store.KeepFaith(1000);
        store = TermStore.Open(Directory, disk.Reboot(Survival.Nothing, new Random(1)));
        Assert.Equal((3, 2), store.Current);
        Assert.Equal(1000, store.FaithMs);
    }

    [Fact]
    public void It_begins_with_term_0_and_no_vote()
    {
        var store = TermStore.Open(Directory, new SimulatedDisk());
        Assert.Equal((0, 0), store.Current);
    }

    [Fact]
    public void What_was_saved_survives_a_power_failure()
    {
        var disk = new SimulatedDisk();
        var store = TermStore.Open(Directory, disk);
        store.Save(3, 0);
        store.Save(3, 2);
        Assert.Equal((3, 2), (store.Term, store.VotedFor));
        store = TermStore.Open(Directory, disk.Reboot(Survival.Nothing, new Random(1)));
        Assert.Equal((3, 2), store.Current);
    }

    [Fact]
    public void Saving_the_same_again_writes_nothing()
    {
        var disk = new SimulatedDisk();
        var store = TermStore.Open(Directory, disk);
        store.Save(3, 2);
        int steps = disk.Steps;
        store.Save(3, 2);
        Assert.Equal(steps, disk.Steps);
    }

    [Theory]
    [InlineData(4, 1)]
    [InlineData(5, 2)]
    [InlineData(5, 0)]
    public void A_step_back_or_a_changed_vote_is_a_broken_invariant(long term, int votedFor)
    {
        var store = TermStore.Open(Directory, new SimulatedDisk());
        store.Save(5, 1);
        Assert.Throws<InvariantViolatedException>(() => store.Save(term, votedFor));
        Assert.Equal((5, 1), store.Current);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(65536)]
    public void A_vote_for_nobody_there_can_be_is_refused(int votedFor)
    {
        var store = TermStore.Open(Directory, new SimulatedDisk());
        Assert.Throws<ArgumentOutOfRangeException>(() => store.Save(6, votedFor));
        Assert.Equal((0, 0), store.Current);
    }

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Everything)]
    [InlineData(Survival.Random)]
    internal void Power_failure_at_any_step_leaves_the_old_pair_or_the_new(Survival survival)
    {
        for (int step = 1; ; step++)
        {
            var disk = new SimulatedDisk { PowerOffAtStep = step };
            (long Term, int VotedFor) confirmed = (0, 0);
            (long Term, int VotedFor) tried = (0, 0);
            try
            {
                var store = TermStore.Open(Directory, disk);
                for (int i = 1; i <= 4; i++)
                {
                    tried = (i, i % 3);
                    store.Save(tried.Term, tried.VotedFor);
                    confirmed = tried;
                }
            }
            catch (PgraftException) when (disk.IsOff)
            {
            }

            var found = TermStore.Open(Directory, disk.Reboot(survival, new Random(step)));
            Assert.True(found.Current == confirmed || found.Current == tried, $"step {step}");
            if (!disk.IsOff)
            {
                Assert.True(step > 16);
                return;
            }
        }
    }

    [Fact]
    public void Any_damage_is_refused()
    {
        var disk = new SimulatedDisk();
        TermStore.Open(Directory, disk).Save(7, 1);
        int length = disk.Content(FilePath).Length;
        for (int offset = 0; offset < length; offset++)
        {
            SimulatedDisk damaged = disk.Clone();
            damaged.Flip(FilePath, offset);
            var error = Assert.Throws<PgraftException>(() => TermStore.Open(Directory, damaged));
            Assert.Equal(StatusCode.IoError, error.Code);
            Assert.Contains(FilePath, error.Message, StringComparison.Ordinal);
        }

        disk.Cut(FilePath, length - 1);
        Assert.Throws<PgraftException>(() => TermStore.Open(Directory, disk));
    }

    [Fact]
    public void A_full_disk_leaves_the_old_pair_and_is_not_final()
    {
        var disk = new SimulatedDisk();
        var store = TermStore.Open(Directory, disk);
        store.Save(1, 1);
        disk.SpaceBytes = 40;
        var error = Assert.Throws<PgraftException>(() => store.Save(2, 2));
        Assert.Equal(StatusCode.DiskFull, error.Code);
        Assert.Equal((1, 1), store.Current);
        disk.SpaceBytes = long.MaxValue;
        store.Save(2, 3);
        Assert.Equal((2, 3), TermStore.Open(Directory, disk).Current);
    }

    // A process that was killed before the sync of the directory leaves the name in the kernel's
    // memory. What the next one finds it goes by, so it must be there after a power failure too.
    [Fact]
    public void What_was_found_is_durable()
    {
        var disk = new SimulatedDisk();
        disk.FailSync = 2;
        Assert.Throws<PgraftException>(() => TermStore.Open(Directory, disk).Save(3, 2));
        disk.FailSync = 0;
        Assert.Equal((3, 2), TermStore.Open(Directory, disk).Current);
        var survivor = disk.Reboot(Survival.Nothing, new Random(1));
        Assert.Equal((3, 2), TermStore.Open(Directory, survivor).Current);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_failed_sync_is_final(int which)
    {
        var disk = new SimulatedDisk();
        var store = TermStore.Open(Directory, disk);
        store.Save(1, 1);
        disk.FailSync = disk.Syncs + which;
        Assert.Throws<PgraftException>(() => store.Save(2, 2));
        Assert.Equal((1, 1), store.Current);
        disk.FailSync = 0;
        var error = Assert.Throws<PgraftException>(() => store.Save(3, 3));
        Assert.Equal(StatusCode.IoError, error.Code);
    }
}
