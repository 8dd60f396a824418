// Snapshots: those that are asked for, when one is due, and what follows from changed options.
using DotNext.IO.Log;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using Xunit;
using LogFixture = PgRaft.Consensus.Tests.Guards.LogFixture;

namespace PgRaft.Consensus.Tests.Recovery;

public sealed class SnapshotByHandTests
{
    private const int DamagedSnapshot = 103;
    private const int NotWritten = 303;

    [Fact]
    public async Task ASnapshotCoversWhatWasAppliedAndIsTakenOnce()
    {
        await using var fixture = new LogFixture();
        await ApplyAsync(fixture, first: 1, last: 3);
        var snapshot = await fixture.Applier.SnapshotAsync(TestCluster.Limit);
        Assert.Equal(3, snapshot.Index);
        Assert.True(File.Exists(snapshot.Path));
        Assert.Same(snapshot, await fixture.Applier.SnapshotAsync(TestCluster.Limit));
        await ApplyAsync(fixture, first: 4, last: 4);
        Assert.Equal(4, (await fixture.Applier.SnapshotAsync(TestCluster.Limit)).Index);
    }

    [Fact]
    public async Task OneThatIsBeingWrittenIsWaitedForAndCountsIfItCovers()
    {
        await using var fixture = new LogFixture();
        await ApplyAsync(fixture, first: 1, last: 3);
        fixture.SnapshotGate.Close();
        var first = fixture.Applier.SnapshotAsync(TestCluster.Limit);
        await fixture.SnapshotGate.SyncWaits;
        var same = fixture.Applier.SnapshotAsync(TestCluster.Limit);
        await ApplyAsync(fixture, first: 4, last: 4);
        var next = fixture.Applier.SnapshotAsync(TestCluster.Limit);
        Assert.False(first.IsCompleted || same.IsCompleted || next.IsCompleted);

        fixture.SnapshotGate.Open();

        Assert.Equal(3, (await first).Index);
        Assert.True((await same).Index >= 3);
        Assert.Equal(4, (await next).Index);
        Assert.Null(fixture.Failure);
    }

    [Fact]
    public async Task WithNothingAppliedThereIsNone()
    {
        await using var fixture = new LogFixture();
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => fixture.Applier.SnapshotAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, error.Code);
    }

    [Fact]
    public async Task WithoutRoomTheCallFailsAndTheNodeGoesOn()
    {
        var disk = new SimulatedDisk();
        await using var cluster = await OneAsync(disk);
        await FillAsync(cluster, keys: 60);
        long before = cluster[1].Node.Status.SnapshotIndex;
        disk.SpaceBytes = disk.UsedBytes + 1000;
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.SnapshotAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.DiskFull, error.Code);
        Assert.Equal(before, cluster[1].Node.Status.SnapshotIndex);
        Assert.False(cluster[1].Node.Failure.IsCompleted);
        long applied = cluster[1].Node.Status.AppliedIndex;
        Assert.Equal(
            [
                $"no snapshot was written at log index {applied}, and the log keeps growing: "
                + error.Message,
            ],
            cluster.Said(NotWritten));

        disk.SpaceBytes = long.MaxValue;
        Assert.True(await cluster[1].Node.SnapshotAsync(TestCluster.Limit) >= applied);
    }

    // As a power failure leaves it that lost the deletion of the older one.
    [Fact]
    public async Task ADamagedOneIsPassedOverForAnOlderOneAndTheLogSaysSo()
    {
        var disk = new SimulatedDisk();
        await using var cluster = await OneAsync(disk);
        await FillAsync(cluster, keys: 10);
        await cluster[1].Node.SnapshotAsync(TestCluster.Limit);
        string older = SnapshotOf(cluster[1], disk);
        byte[] content = disk.Content(older);
        await FillAsync(cluster, keys: 20);
        await cluster[1].Node.SnapshotAsync(TestCluster.Limit);
        string newer = SnapshotOf(cluster[1], disk);
        await cluster[1].StopAsync();
        using (var file = disk.Create(older))
        {
            file.Write(0, content);
        }

        disk.Cut(newer, content.Length / 2);
        await cluster[1].StartAsync(TestCluster.Limit);

        await cluster.LeaderAsync();
        await cluster.UntilAsync(() => cluster[1].Get("key 19") is not null, "the log's entries");
        string said = Assert.Single(cluster.Said(DamagedSnapshot));
        Assert.StartsWith(
            "a damaged snapshot was passed over: ", said, StringComparison.Ordinal);
        Assert.Contains(newer, said, StringComparison.Ordinal);
    }

    // Nothing more comes that would notice.
    [Fact]
    public async Task ASnapshotThatBecameDueWhileOneWasWrittenIsTakenNext()
    {
        await using var fixture = new LogFixture();
        fixture.Runtime = fixture.Runtime with { SnapshotIntervalEntries = 5 };
        fixture.SnapshotGate.Close();
        await ApplyAsync(fixture, first: 1, last: 5);
        await fixture.SnapshotGate.SyncWaits;
        await ApplyAsync(fixture, first: 6, last: 15);
        fixture.SnapshotGate.Open();
        await Until(() => fixture.Snapshots.Current?.Index == 15);
    }

    // Where a leader is heard of, its rounds are an occasion: here there is none.
    [Fact]
    public async Task AShorterIntervalTakesEffectAtOnce()
    {
        await using var cluster = await TestCluster.FoundAsync(2);
        var (leader, followers) = await cluster.RolesAsync();
        for (int i = 0; i < 60; i++)
        {
            await leader.PutAsync($"key {i}", "v", TestCluster.Limit);
        }

        await cluster.AgreeAsync();
        await leader.StopAsync();
        var node = followers[0].Node;
        await cluster.UntilAsync(() => node.Status.LeaderId == 0, "the leader to be missed");
        Assert.Equal(0, node.Status.SnapshotIndex);

        node.Reload(cluster.Runtime with { SnapshotIntervalEntries = 50 });

        await cluster.UntilAsync(
            () => node.Status.SnapshotIndex >= 60, "a snapshot without another entry");
    }

    [Fact]
    public async Task FewerEntriesAreKeptAtOnce()
    {
        // About 60 entries fill a segment of 64 KiB.
        await using var cluster = await OneAsync(new SimulatedDisk());
        await FillAsync(cluster, keys: 400);
        await cluster[1].Node.SnapshotAsync(TestCluster.Limit);
        Assert.Equal(1, cluster[1].Node.Status.FirstIndex);
        cluster[1].Node.Reload(cluster.Runtime with { MaxLogEntries = 100 });
        await cluster.UntilAsync(() => cluster[1].Node.Status.FirstIndex > 1, "segments to go");
        long snapshot = cluster[1].Node.Status.SnapshotIndex;
        Assert.InRange(cluster[1].Node.Status.FirstIndex, snapshot - 100 - 70, snapshot - 100 + 1);
    }

    private static async Task<TestCluster> OneAsync(SimulatedDisk disk)
    {
        var cluster = new TestCluster { ElectionTimeout = 100 };
        cluster.Add(cluster.Prepare(1, disk, TimeProvider.System, founding: true));
        await cluster.StartAllAsync();
        return cluster;
    }

    private static string SnapshotOf(TestNode node, SimulatedDisk disk) => Path.Combine(
        node.DataDirectory,
        Assert.Single(disk.List(node.DataDirectory), SnapshotFormat.IsName));

    private static async Task FillAsync(TestCluster cluster, int keys)
    {
        for (int i = 0; i < keys; i++)
        {
            await cluster[1].PutAsync($"key {i}", new string('v', 1000), TestCluster.Limit);
        }
    }

    // As a follower: appended, committed, applied.
    private static async Task ApplyAsync(LogFixture fixture, long first, long last)
    {
        var records = new List<LogRecord>();
        for (long index = first; index <= last; index++)
        {
            records.Add(new LogRecord(index, 1, EntryKind.Empty, default));
        }

        await fixture.ReceiveAsync([.. records]);
        await ((IAuditTrail)fixture.Log).CommitAsync(last, TestCluster.Limit);
        await fixture.Applier.WaitAppliedAsync(last, TestCluster.Limit);
    }

    private static async Task Until(Func<bool> condition)
    {
        var limit = TestCluster.Limit;
        while (!condition())
        {
            // A poll with a deadline.
            await Task.Delay(5, limit);
        }
    }
}
