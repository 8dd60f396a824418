// A node that begins again from a backup: what it then has, what it refuses, and what a power
// failure in any step leaves of it.
using System.Globalization;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Consensus.Tests.Guards;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Recovery;

[Collection(FaultCollection.Name)]
public sealed class RestoreTests : IDisposable
{
    private const int MaxSteps = 400;
    private const int Restored = 152;
    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public async Task ARestoredNodeLeadsANewClusterWithTheStateOfTheBackup()
    {
        await using var old = await TestCluster.FoundAsync(3);
        var info = await BackupAsync(old, keys: 20);
        await old.PutAsync("after", "the backup");
        await using var cluster = await WaitingAsync(PhysicalIo.Instance);
        var node = cluster[1];

        Assert.Equal(info, await node.Node.RestoreAsync(BackupPath, TestCluster.Limit));

        await RequireRestoredAsync(cluster, info);
        Assert.Equal(
            [
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"restored the backup of log index {info.Index} that node {info.NodeId} took "
                    + $"at {info.TakenAt}; node 1 is the only member of the new cluster"),
            ],
            cluster.Said(Restored));
        Assert.True(node.Node.Status.Term > info.CurrentTerm + 1000);
        Assert.Equal(info.Index + 1, node.Node.Status.FirstIndex);
        Assert.Null(node.Get("after"));
        await cluster.PutAsync("new", "it");

        await node.StopAsync();
        await node.StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync();
        Assert.Equal("value 20", node.Get("key 20"));
        await cluster.UntilAsync(() => node.Get("new") == "it", "the log to be applied");
    }

    [Fact]
    public async Task ANodeThatWasInvitedCanBeRestored()
    {
        await using var old = await TestCluster.FoundAsync(1);
        var info = await BackupAsync(old, keys: 5);
        await using var cluster = await WaitingAsync(PhysicalIo.Instance);
        await using (var leader = FakePeer.Call(cluster[1].Address, 2))
        {
            Assert.True(await FakePeer.InviteAsync(leader, term: 4, lastIndex: 1000));
        }

        await cluster[1].Node.RestoreAsync(BackupPath, TestCluster.Limit);

        await RequireRestoredAsync(cluster, info);
        await cluster[1].StopAsync();
        await cluster[1].StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync();
    }

    [Fact]
    public async Task ARestoredNodeTakesNewMembersAndNoneOfTheOldCluster()
    {
        await using var old = await TestCluster.FoundAsync(3);
        await BackupAsync(old, keys: 5);
        await using var cluster = await WaitingAsync(PhysicalIo.Instance);
        await cluster[1].Node.RestoreAsync(BackupPath, TestCluster.Limit);

        var refused = await Assert.ThrowsAsync<PgraftException>(() => cluster[1].Node
            .AddMemberAsync(old[2].Address, new CancellationTokenSource(1000).Token));
        Assert.Contains("separate clusters", refused.Detail, StringComparison.Ordinal);
        var second = cluster.Add(
            cluster.Prepare(2, PhysicalIo.Instance, TimeProvider.System, founding: false));
        await second.StartAsync(TestCluster.Limit);
        await cluster[1].Node.AddMemberAsync(second.Address, TestCluster.Limit);

        await cluster.AgreeAsync();
        Assert.Equal("value 5", second.Get("key 5"));
    }

    [Fact]
    public async Task ABackupOfAnotherClusterIsRefusedAndNothingChanges()
    {
        await using var cluster = await WaitingAsync(PhysicalIo.Instance);
        Backups.Write(PhysicalIo.Instance, Backups.State(3), BackupPath, clusterId: "another");
        await RefusedAsync(cluster, "is of cluster \"another\"");
    }

    [Fact]
    public async Task ADamagedBackupIsRefusedAndNothingChanges()
    {
        await using var cluster = await WaitingAsync(PhysicalIo.Instance);
        Backups.Write(PhysicalIo.Instance, Backups.State(3), BackupPath);
        byte[] content = await File.ReadAllBytesAsync(BackupPath, TestCluster.Limit);
        content[content.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(BackupPath, content, TestCluster.Limit);
        await RefusedAsync(cluster, "is damaged at offset");
    }

    [Fact]
    public async Task ANodeThatBelongsToAClusterIsNotOverwritten()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await cluster.PutAsync("k", "v");
        Backups.Write(PhysicalIo.Instance, Backups.State(3), BackupPath);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.RestoreAsync(BackupPath, TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Equal("v", cluster[1].Get("k"));
    }

    [Fact]
    public async Task WithoutRoomTheNodeGoesOnWaiting()
    {
        var disk = new SimulatedDisk();
        await using var cluster = await WaitingAsync(disk);
        Backups.Write(disk, Backups.State(keys: 50, valueBytes: 10_000));
        disk.SpaceBytes = disk.UsedBytes + 100_000;
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.RestoreAsync(Backups.Path, TestCluster.Limit));
        Assert.Equal(StatusCode.DiskFull, error.Code);
        Assert.Equal(NodeRole.Waiting, cluster[1].Node.Status.Role);
        Assert.Equal(0, cluster[1].Node.Status.Term);

        disk.SpaceBytes = long.MaxValue;
        await cluster[1].Node.RestoreAsync(Backups.Path, TestCluster.Limit);
        Assert.Equal(NodeRole.Leader, cluster[1].Node.Status.Role);
    }

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Everything)]
    [InlineData(Survival.Random)]
    internal async Task APowerFailureLeavesNothingOrAll(Survival survival)
    {
        bool[] seen = [false, false];
        for (int step = 1; step < MaxSteps; step++)
        {
            var disk = new SimulatedDisk();
            await using var cluster = await WaitingAsync(disk);
            var info = Backups.Write(disk, Backups.State(keys: 5));
            disk.PowerOffAtStep = disk.Steps + step;
            bool restored = await UntilPowerFails.RunAsync(
                cluster[1], disk, n => n.RestoreAsync(Backups.Path, TestCluster.Limit));
            bool finished = !disk.IsOff;
            await cluster[1].StopAsync();
            cluster[1].Io = disk.Reboot(survival, new Random(step));
            await cluster[1].StartAsync(TestCluster.Limit);

            bool isThere = cluster[1].Node.Status.Role != NodeRole.Waiting;
            Assert.True(isThere || !restored, $"step {step}: it is gone");
            seen[isThere ? 1 : 0] = true;
            await RequireNothingOrAllAsync(cluster, isThere, info);
            if (finished)
            {
                Assert.Equal([true, true], seen);
                return;
            }
        }

        Assert.Fail("restoring never ended");
    }

    public void Dispose() => _directory.Dispose();

    private string BackupPath => _directory["backup"];

    private static async Task RequireNothingOrAllAsync(
        TestCluster cluster, bool isThere, BackupInfo info)
    {
        if (isThere)
        {
            await RequireRestoredAsync(cluster, info);
            return;
        }

        var status = cluster[1].Node.Status;
        Assert.Equal((0, 0), (status.LastIndex, status.SnapshotIndex));
        Assert.Equal(0, cluster[1].Node.FoundingId);
        await cluster[1].Node.RestoreAsync(Backups.Path, TestCluster.Limit);
        await RequireRestoredAsync(cluster, info);
    }

    private static async Task RequireRestoredAsync(TestCluster cluster, BackupInfo info)
    {
        await cluster.LeaderAsync();
        var node = cluster[1];
        Assert.Equal(info.Index, node.Node.Status.SnapshotIndex);
        Assert.Equal(info.StateHash, node.Hash());
        Assert.Equal(info.Revision, node.StateMachine.Kv.Revision);
        Assert.Equal([node.Address], node.Node.GetMembers().Select(m => m.Address));
    }

    private static async Task<TestCluster> WaitingAsync(IStorageIo io)
    {
        var cluster = new TestCluster { ElectionTimeout = 100 };
        cluster.Add(cluster.Prepare(1, io, TimeProvider.System, founding: false));
        await cluster[1].StartAsync(TestCluster.Limit);
        return cluster;
    }

    private async Task<BackupInfo> BackupAsync(TestCluster cluster, int keys)
    {
        for (int i = 1; i <= keys; i++)
        {
            await cluster.PutAsync($"key {i}", $"value {i}");
        }

        var leader = await cluster.LeaderAsync();
        await leader.Node.ReadBarrierAsync(TestCluster.Limit);
        return await leader.Node.BackupAsync(BackupPath, TestCluster.Limit);
    }

    private async Task RefusedAsync(TestCluster cluster, string reason)
    {
        string[] before = Contents(cluster[1].DataDirectory);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.RestoreAsync(BackupPath, TestCluster.Limit));
        Assert.Equal(StatusCode.BadArgument, error.Code);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Equal(NodeRole.Waiting, cluster[1].Node.Status.Role);
        Assert.Equal(before, Contents(cluster[1].DataDirectory));
    }

    private static string[] Contents(string directory) =>
        [.. Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories).Order()];
}
