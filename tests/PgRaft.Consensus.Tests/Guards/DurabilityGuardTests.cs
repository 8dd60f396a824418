// Hazards 1, 2 and 16, and the leader's own durability.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class DurabilityGuardTests
{
    [Fact]
    public async Task AFollowerAcknowledgesOnlyWhatIsOnDisk()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        fixture.Gate.Close();
        var append = fixture.ReceiveAsync(LogFixture.Record(1, 1)).AsTask();
        await fixture.Gate.SyncWaits.WaitAsync(TestCluster.Limit);

        // The writer hangs in its sync. Whoever answers without waiting for it does so at once.
        await Assert.ThrowsAsync<TimeoutException>(
            () => append.WaitAsync(TimeSpan.FromMilliseconds(300), TestCluster.Limit));
        Assert.Equal(0, fixture.Log.Records.DurableIndex);
        fixture.Gate.Open();
        await append.WaitAsync(TestCluster.Limit);
        Assert.Equal(1, fixture.Log.Records.DurableIndex);
    }

    [Fact]
    public async Task ALeaderCommitsOnlyWhatIsOnItsOwnDisk()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        fixture.Gate.Close();
        var pending = fixture.Log.Propose(1, CommandEncoder.KvPut("k"u8, "v"u8))!;
        await fixture.Gate.SyncWaits.WaitAsync(TestCluster.Limit);
        await fixture.Engine.CommitAsync(1, TestCluster.Limit);
        Assert.Equal(0, fixture.Log.CommitIndex);
        fixture.Gate.Open();
        var proposal = await pending.Outcome.WaitAsync(TestCluster.Limit);
        Assert.Equal(1, proposal.Index);
        Assert.Equal(1, fixture.Log.CommitIndex);
    }

    [Fact]
    public async Task ADelayedDuplicateDoesNotDropAcknowledgedEntries()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(
            LogFixture.Record(1, 1), LogFixture.Record(2, 1), LogFixture.Record(3, 1));
        await fixture.ReceiveAsync(LogFixture.Record(1, 1));
        Assert.Equal(3, fixture.Log.Records.LastIndex);
    }

    [Fact]
    public async Task AConflictDropsTheOldSuffix()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(
            LogFixture.Record(1, 1), LogFixture.Record(2, 1), LogFixture.Record(3, 1));
        fixture.Log.ObserveTerm(2);
        await fixture.ReceiveAsync(LogFixture.Record(2, 2, content: 7));
        Assert.Equal(2, fixture.Log.Records.LastIndex);
        Assert.Equal(2, fixture.Log.TermAt(2));
    }

    [Fact]
    public async Task ACommittedEntryIsNeverReplaced()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(LogFixture.Record(1, 1), LogFixture.Record(2, 1));
        await fixture.Engine.CommitAsync(2, TestCluster.Limit);
        fixture.Log.ObserveTerm(2);
        await Assert.ThrowsAsync<InvariantViolatedException>(
            async () => await fixture.ReceiveAsync(LogFixture.Record(2, 2)));
        Assert.Equal(1, fixture.Log.TermAt(2));
    }

    [Fact]
    public async Task ALeaderTakesNoEntriesOfItsOwnTermFromOthers()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(3);
        Assert.NotNull(fixture.Log.Propose(3, "x"u8));
        await Assert.ThrowsAsync<InvariantViolatedException>(
            async () => await fixture.ReceiveAsync(LogFixture.Record(1, 2)));
        Assert.Equal(3, fixture.Log.TermAt(1));
    }

    [Fact]
    public async Task AVoteThatWouldChangeEndsTheNode()
    {
        await using var fixture = new LogFixture();
        Exception? failed = null;
        fixture.Log.Failed = e => failed = e;
        await fixture.Engine.IncrementTermAsync(MemberId.FromNodeId(1), TestCluster.Limit);
        await Assert.ThrowsAsync<InvariantViolatedException>(async () => await
            fixture.Engine.UpdateVotedForAsync(MemberId.FromNodeId(2), TestCluster.Limit));
        Assert.IsType<InvariantViolatedException>(failed);
        Assert.Equal(1, fixture.Log.VotedFor);
    }

    [Fact]
    public async Task ACommitThatWasOvertakenDoesNotHoldBackTheNewer()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);

        // More than the caller's thread would apply at once.
        await fixture.ReceiveAsync(
            [.. Enumerable.Range(1, 8).Select(i => LogFixture.Record(i, 1))]);
        fixture.Applier.CommitAdvanced(8);
        fixture.Applier.CommitAdvanced(1);
        await fixture.Applier.WaitAppliedAsync(8, TestCluster.Limit);
        Assert.Equal(8, fixture.Machine.AppliedIndex);
    }

    [Fact]
    public async Task ALeaderOfAnOldTermCannotAppend()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(5);
        Assert.Null(fixture.Log.Propose(4, "x"u8));
        var entry = new EmptyLogEntry { Term = 4 };
        await Assert.ThrowsAsync<NotLeaderException>(
            async () => await fixture.Engine.AppendAsync(entry, TestCluster.Limit));
        Assert.Equal(0, fixture.Log.Records.LastIndex);
    }

    [Fact]
    public async Task AProposalIsCopied()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        byte[] command = CommandEncoder.KvPut("key"u8, "value"u8);
        var pending = cluster[1].Node.ProposeAsync(command, 0, TestCluster.Limit);
        Array.Clear(command);
        await pending;
        Assert.Equal("value", cluster[1].Get("key"));
    }

    [Fact]
    public async Task AnotherEntryAtItsIndexMeansNotDone()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        var pending = fixture.Log.Propose(1, CommandEncoder.KvPut("k"u8, "mine"u8))!;
        fixture.Log.ObserveTerm(2);
        await fixture.ReceiveAsync(new LogRecord(
            1, 2, EntryKind.Command, CommandEncoder.KvPut("k"u8, "theirs"u8)));
        await fixture.Engine.CommitAsync(1, TestCluster.Limit);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => pending.Outcome.WaitAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.NotDone, error.Code);
    }

    [Fact]
    public async Task ASoleVoterBeginsANewTermAtEveryStart()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        long term = cluster[1].Node.Status.Term;
        await cluster[1].StopAsync();
        await cluster[1].StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync();
        Assert.True(cluster[1].Node.Status.Term > term);
    }
}
