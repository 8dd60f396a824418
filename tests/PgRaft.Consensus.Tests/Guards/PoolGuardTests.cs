// Nothing waits for a disk on the thread pool: it has one thread as a rule, and heartbeats need it.
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class PoolGuardTests
{
    [Fact]
    public async Task NothingIsWrittenToADiskByAThreadOfThePool()
    {
        var disk = new WatchedIo();
        await using var cluster = new TestCluster();
        cluster.Runtime = cluster.Runtime with { SnapshotIntervalEntries = 100, MaxLogEntries = 0 };
        for (int id = 1; id <= 4; id++)
        {
            cluster.Add(id).Io = disk;
        }

        // One founds, two join by the log.
        cluster.Found([]);
        await Task.WhenAll(cluster.Nodes.Select(n => n.StartAsync(TestCluster.Limit)));
        await cluster[1].Node.FoundAsync(TestCluster.Limit);
        await cluster[1].Node.AddMemberAsync(cluster[2].Address, TestCluster.Limit);
        await cluster[1].Node.AddMemberAsync(cluster[3].Address, TestCluster.Limit);
        string value = new('x', 1000);
        for (int i = 0; i < 300; i++)
        {
            await cluster[1].PutAsync($"k{i}", value, TestCluster.Limit);
        }

        // One joins by a snapshot, another is removed, the leader goes and comes back.
        await cluster[1].Node.SnapshotAsync(TestCluster.Limit);
        await cluster[1].Node.AddMemberAsync(cluster[4].Address, TestCluster.Limit);
        Assert.True(cluster[4].Node.Status.SnapshotIndex > 0);
        await cluster[1].Node.RemoveMemberAsync(2, TestCluster.Limit);
        await cluster[1].Node.ProbeStorageAsync(TestCluster.Limit);
        var former = await cluster.LeaderAsync();
        await former.StopAsync();
        await cluster.LeaderAsync(otherThan: former);
        await former.StartAsync(TestCluster.Limit);
        await cluster[4].Node.WaitAppliedAsync(
            (await cluster.LeaderAsync()).Node.Status.CommitIndex, TestCluster.Limit);

        Assert.False(disk.FromPool.Any(), string.Join(Environment.NewLine, disk.FromPool));
    }
}
