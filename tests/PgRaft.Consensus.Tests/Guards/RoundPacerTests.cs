// The pause between two rounds: it ends when half of all writers are there, when it has taken as
// long as it may, and when a read needs a round; and who is alone, or among few, has none.
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class RoundPacerTests
{
    private const int LongMs = 60_000;
    private readonly StillClock _clock = new();
    private int _limitMs = LongMs;

    [Fact]
    public async Task ARoundWaitsUntilHalfOfAllWritersAreThere()
    {
        using var pacer = Pacer(roundMs: LongMs);

        // 10 were answered, 2 wait: 6 of 12 are half.
        var wait = pacer.AfterRound(answered: 10, committed: 100, last: 102);

        Assert.NotNull(wait);
        pacer.Appended(105);
        Assert.False(wait.IsCompleted);
        pacer.Appended(106);
        await wait.WaitAsync(TestCluster.Limit);
    }

    [Theory]
    [InlineData(64, 0)]
    [InlineData(6, 6)]
    [InlineData(1, 63)]
    [InlineData(6, 1)]
    public void ARoundDoesNotWait(int answered, int queued)
    {
        using var pacer = Pacer(roundMs: LongMs);

        Assert.Null(pacer.AfterRound(answered, 100, 100 + queued));
    }

    [Fact]
    public void ARoundWaitsForNobodyWhenItMayNot()
    {
        _limitMs = 0;
        using var pacer = Pacer(roundMs: LongMs);

        Assert.Null(pacer.AfterRound(10, 100, 102));
    }

    // Both would be a minute if it were not for the other.
    [Theory]
    [InlineData(1, LongMs)]
    [InlineData(LongMs, 1)]
    public async Task ItWaitsNoLongerThanTheLastRoundTookAndThanItMay(int roundMs, int limitMs)
    {
        _limitMs = limitMs;
        using var pacer = Pacer(roundMs);

        var wait = pacer.AfterRound(10, 100, 102);

        Assert.NotNull(wait);
        await wait.WaitAsync(TestCluster.Limit);
    }

    [Fact]
    public async Task AReadThatNeedsARoundEndsTheWait()
    {
        using var pacer = Pacer(roundMs: LongMs);
        var wait = pacer.AfterRound(10, 100, 102);

        pacer.BeginNow();

        await wait!.WaitAsync(TestCluster.Limit);
    }

    [Fact]
    public void AReadThatCameBeforeTheEndOfTheRoundIsNotHeldUpOnce()
    {
        using var pacer = Pacer(roundMs: LongMs);
        pacer.BeginNow();

        Assert.Null(pacer.AfterRound(10, 100, 102));
        Assert.NotNull(pacer.AfterRound(10, 110, 112));
    }

    // The engine begins no round before its commit has returned.
    [Fact]
    public async Task ALeadersCommitReturnsWhenTheNextRoundMayBegin()
    {
        await using var fixture = await AtTheEndOfALongRoundAsync();

        var commit = fixture.Engine.CommitAsync(10, TestCluster.Limit).AsTask();

        await fixture.Applier.WaitAppliedAsync(10, TestCluster.Limit);
        Propose(fixture, 3);
        Assert.False(commit.IsCompleted);
        Propose(fixture, 1);
        Assert.Equal(10, await commit.WaitAsync(TestCluster.Limit));
    }

    // It has no rounds of its own; nor may what a leader hands over wait.
    [Fact]
    public async Task NobodyElseWaits()
    {
        await using var fixture = await AtTheEndOfALongRoundAsync();

        fixture.Log.CloseTerm(1, closed: true);
        await fixture.Engine.CommitAsync(10, TestCluster.Limit).AsTask()
            .WaitAsync(TestCluster.Limit);

        fixture.Log.ObserveTerm(2);
        await fixture.ReceiveAsync(
            [.. Enumerable.Range(13, 12).Select(i => LogFixture.Record(i, 2))]);
        await fixture.Engine.CommitAsync(22, TestCluster.Limit).AsTask()
            .WaitAsync(TestCluster.Limit);
    }

    // They cannot be committed before the round that carries them; each would have a sync of its
    // own, and few with it.
    [Fact]
    public async Task TheEntriesOfManyWritersAreWrittenWhenTheirRoundBegins()
    {
        await using var fixture = await AtTheEndOfALongRoundAsync();
        var commit = fixture.Engine.CommitAsync(10, TestCluster.Limit).AsTask();
        await fixture.Log.Records.WaitDurableAsync(12);

        Propose(fixture, 2);
        await Storage.LogFixture.NotWrittenAfterAsync(fixture.Log.Records, 12);

        Assert.Equal(14, fixture.Engine.LastEntryIndex);
        await Storage.LogFixture.WrittenAsync(fixture.Log.Records, 14);
        Propose(fixture, 2);
        await commit.WaitAsync(TestCluster.Limit);
    }

    // On few the followers' syncs would wait for nothing.
    [Fact]
    public async Task TheEntryOfOneAmongFewIsWrittenAtOnce()
    {
        await using var fixture = new LogFixture();
        await fixture.Log.ObserveTermAsync(1);
        Propose(fixture, 6);
        await fixture.Engine.CommitAsync(6, TestCluster.Limit);

        Propose(fixture, 1);
        await Storage.LogFixture.WrittenAsync(fixture.Log.Records, 7);
    }

    // Of a leader, with ten entries in it and two that came since.
    private static async Task<LogFixture> AtTheEndOfALongRoundAsync()
    {
        var fixture = new LogFixture();
        fixture.Runtime = fixture.Runtime with { MaxBatchDelayMs = LongMs };
        await fixture.Log.ObserveTermAsync(1);
        Propose(fixture, 10);
        _ = fixture.Engine.LastEntryIndex;
        fixture.RoundClock.Pass(LongMs);
        Propose(fixture, 2);
        return fixture;
    }

    private static void Propose(LogFixture fixture, int count)
    {
        for (int i = 0; i < count; i++)
        {
            Assert.NotNull(fixture.Log.Propose(1, CommandEncoder.KvPut("k"u8, "v"u8)));
        }
    }

    private RoundPacer Pacer(int roundMs)
    {
        var pacer = new RoundPacer(() => _limitMs, _clock);
        pacer.Begun();
        _clock.Pass(roundMs);
        return pacer;
    }
}
