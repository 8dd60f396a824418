// Hazards 15 and 32: snapshots that come too late, take long, or are gone past by old rounds.
using DotNext.IO.Log;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class SnapshotGuardTests
{
    [Fact]
    public async Task ASnapshotOvertakenByANewerOneIsDroppedAndHarmsNobody()
    {
        await using var fixture = new LogFixture();
        fixture.Machine.Apply(1, 1, CommandEncoder.KvPut("k"u8, "old"u8));
        var older = fixture.Machine.Capture();
        fixture.Machine.Apply(2, 1, CommandEncoder.KvPut("k"u8, "new"u8));
        fixture.Applier.WriteSnapshot(fixture.Machine.Capture());
        fixture.Applier.WriteSnapshot(older);
        Assert.Null(fixture.Failure);
        Assert.Equal(2, fixture.Snapshots.Current!.Index);
        var restored = new StateMachine();
        Assert.True(Apply.Applier.Restore(fixture.Snapshots, restored));
        Assert.Equal(2, restored.AppliedIndex);
    }

    [Fact]
    public async Task ASnapshotBeingWrittenDoesNotHoldUpApplying()
    {
        await using var fixture = new LogFixture();
        fixture.Runtime = fixture.Runtime with { SnapshotIntervalEntries = 5 };
        fixture.Log.ObserveTerm(1);
        fixture.SnapshotGate.Close();
        await fixture.ReceiveAsync(Records(1, 5));
        await fixture.Engine.CommitAsync(5, TestCluster.Limit);
        await fixture.SnapshotGate.SyncWaits.WaitAsync(TestCluster.Limit);

        await fixture.ReceiveAsync(Records(6, 20));
        await fixture.Engine.CommitAsync(20, TestCluster.Limit);
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await fixture.Applier.WaitAppliedAsync(20, soon.Token);

        Assert.Equal(20, fixture.Machine.AppliedIndex);
        Assert.Null(fixture.Snapshots.Current);
    }

    // After a snapshot the engine still works off rounds that end before the member's next entry.
    [Fact]
    public async Task ARangeThatEndsBeforeItBeginsIsEmpty()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(Records(1, 10));
        Assert.Equal(0, await fixture.Engine.ReadAsync(new Counter(), 8, 3, TestCluster.Limit));
        Assert.Equal(3, await fixture.Engine.ReadAsync(new Counter(), 8, 10, TestCluster.Limit));
    }

    // Refused, the leader would look for the place where the logs part below its own log.
    [Fact]
    public async Task WhatASnapshotCoversCountsAsMatching()
    {
        await using var source = new LogFixture();
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        await node.StartAsync(TestCluster.Limit);
        source.Configurations.Rebase(0, Configuration.Found(FakePeer.Founding, [node.Address]));
        foreach (var record in Records(1, 10))
        {
            source.Machine.Skip(record.Index, record.Term);
        }

        source.Applier.WriteSnapshot(source.Machine.Capture());
        using var file = new MemoryStream();
        await using (var raw = source.Snapshots.OpenRaw(out _))
        {
            await raw.CopyToAsync(file, TestCluster.Limit);
        }

        await using var leader = FakePeer.Call(node.Address, 2);
        Assert.True(await FakePeer.InviteAsync(leader));
        Assert.Equal(
            (byte)Engine.SnapshotAnswer.Accepted,
            await leader.SendSnapshotAsync(1, source.Snapshots.Current!, file.ToArray()));
        Assert.Equal(11, node.Node.Status.FirstIndex);

        var (_, result, lastIndex) = await leader.AppendAsync(1, 5, 1, Records(6, 12));
        Assert.NotEqual(HeartbeatResult.Rejected, result);
        Assert.Equal(12, lastIndex);
        Assert.Equal(12, node.Node.Status.LastIndex);
    }

    private static LogRecord[] Records(int first, int last) =>
        [.. Enumerable.Range(first, last - first + 1).Select(i => LogFixture.Record(i, 1))];

    private sealed class Counter : ILogEntryConsumer<IRaftLogEntry, int>
    {
        public ValueTask<int> ReadAsync<TEntry, TList>(
            TList entries, long? snapshotIndex, CancellationToken token)
            where TEntry : notnull, IRaftLogEntry
            where TList : notnull, IReadOnlyList<TEntry> => new(entries.Count);
    }
}
