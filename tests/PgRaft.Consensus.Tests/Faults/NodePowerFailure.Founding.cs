// Workloads of a node that is founded, by call and by its settings: afterwards it is founded or is
// not, and for good once that was said. Threading and failure: see NodePowerFailure.
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

public abstract partial class NodePowerFailure
{
    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal Task AFoundingByCallIsDoneOrNot(Survival survival) => _points.RunAsync(
        least: 8,
        async sync =>
        {
            var disk = new SimulatedDisk { PowerOffAtSync = sync };
            await using var cluster = new TestCluster { ElectionTimeout = SoleTimeoutMs };
            var node = cluster.Add(
                cluster.Prepare(1, disk, TimeProvider.System, founding: false));
            long founding = 0;
            await UntilPowerFailsAsync(disk, async () =>
            {
                await node.StartAsync(TestCluster.Limit);
                using var limit = LimitOn(node);
                await node.Node.FoundAsync(limit.Token);
                founding = node.Node.FoundingId;
                await node.PutAsync("k", "v", limit.Token);
            });
            Assert.True(disk.IsOff || founding != 0, "never founded");
            await StartAgainAsync(node, disk, survival, sync);
            Assert.True(
                founding == 0 || node.Node.FoundingId == founding,
                $"sync {sync}: founded as {founding}, now {node.Node.FoundingId}");
            if (node.Node.FoundingId == 0)
            {
                Assert.Equal(NodeRole.Waiting, node.Node.Status.Role);
                await node.Node.FoundAsync(TestCluster.Limit);
            }

            await cluster.LeaderAsync();
            await node.PutAsync("after", "it", TestCluster.Limit);
            return disk.Syncs;
        });

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal Task AFoundingBySettingsIsDoneOrNot(Survival survival) => _points.RunAsync(
        least: 5,
        async sync =>
        {
            var disk = new SimulatedDisk { PowerOffAtSync = sync };
            await using var cluster = Cluster(disk, founders: 3);
            long founding = 0;
            await UntilPowerFailsAsync(disk, async () =>
            {
                await cluster[1].StartAsync(TestCluster.Limit);
                founding = cluster[1].Node.FoundingId;
            });
            Assert.True(disk.IsOff || founding != 0, "never founded");

            // Of other settings it takes nothing once it has been founded.
            var founders = cluster.InitialCluster;
            cluster.Found([.. founders, new MemberAddress(4, "127.0.0.1", 4)]);
            await StartAgainAsync(cluster[1], disk, survival, sync);
            int members = cluster[1].Node.Membership.Active.Count;
            bool isFirst = members == founders.Count;
            Assert.True(isFirst || founding == 0, $"sync {sync}: founded anew");
            Assert.True(isFirst || members == founders.Count + 1, $"{members} members");
            return disk.Syncs;
        });
}
