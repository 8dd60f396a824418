// Workloads with configuration entries: on a follower that takes them from leaders, one of which
// replaces another's, and on the leader that makes them. Threading and failure: see
// NodePowerFailure.
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

public abstract partial class NodePowerFailure
{
    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal Task AFollowersConfigurationIsThatOfItsLog(Survival survival) => _points.RunAsync(
        least: 10,
        async sync =>
        {
            var disk = new SimulatedDisk { PowerOffAtSync = sync };
            await using var cluster = Cluster(disk, founders: 3);
            var promise = new Promise();
            await UntilPowerFailsAsync(disk, () => ChangeMembersAsync(cluster[1], promise));
            await StartAgainAsync(cluster[1], disk, survival, sync);
            var log = cluster[1].Node.Log;
            promise.RequireKept(log, $"sync {sync}");
            var found = new List<LogRecord>();
            log.Records.Read(log.Records.FirstIndex, int.MaxValue, int.MaxValue, found);
            var wanted = found.Where(r => r.Kind == EntryKind.Configuration)
                .Select(r => Configuration.Decode(r.Payload.Span)).LastOrDefault();
            Assert.Equal(
                wanted?.Addresses ?? cluster.InitialCluster,
                cluster[1].Node.Membership.Active.Addresses);
            return disk.Syncs;
        });

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal Task AMemberThatWasAddedOrRemovedStaysSo(Survival survival) => _points.RunAsync(
        least: 6,
        async sync =>
        {
            var disk = new SimulatedDisk();
            await using var cluster = Cluster(disk, founders: 1);
            await cluster[1].StartAsync(TestCluster.Limit);
            await cluster.LeaderAsync();
            var second = cluster.Add(cluster.Prepare(
                2, new SimulatedDisk(), TimeProvider.System, founding: false));
            await second.StartAsync(TestCluster.Limit);
            int before = disk.Syncs;
            disk.PowerOffAtSync = before + sync;
            int[]? members = [1];
            await UntilPowerFailsAsync(
                disk, () => AddAndRemoveAsync(cluster, m => members = m));
            int made = disk.Syncs - before;
            await StartAgainAsync(cluster[1], disk, survival, sync);
            var leader = await cluster.LeaderAsync();
            await cluster.PutAsync("after", "it");
            int[] found = [.. leader.Node.GetMembers().Select(m => m.Address.NodeId)];
            Assert.True(
                members is null || members.SequenceEqual(found),
                $"sync {sync}: the members are {string.Join(", ", found)}");
            return made;
        });

    // Added and removed, and one change that the next leader replaces before it is committed.
    private static async Task ChangeMembersAsync(TestNode node, Promise promise)
    {
        await node.StartAsync(TestCluster.Limit);
        var founded = node.Node.Membership.Active;
        var four = founded.Add(new MemberAddress(4, "127.0.0.1", 4));
        var five = four.Add(new MemberAddress(5, "127.0.0.1", 5));
        var without3 = four.Remove(founded.Find(3)!);
        var command = (EntryKind.Command, Array.Empty<byte>());
        await using (var leader = new FakeLeader(node, 2, term: 1, promise))
        {
            await leader.AskForVoteAsync();
            await leader.AppendAsync(0, command, EntryOf(four), command);
            await leader.AppendAsync(3, EntryOf(without3), command);
        }

        await using var next = new FakeLeader(node, 3, term: 2, promise);
        await next.AppendAfterAsync(3, 1, 3, command, EntryOf(five), command);
        await next.AppendAsync(6, EntryOf(four));
    }

    private static (EntryKind Kind, byte[] Payload) EntryOf(object configuration) =>
        (EntryKind.Configuration, ((Configuration)configuration).Bytes.ToArray());

    // Tells what the members are as soon as that is certain, and null while it is not.
    private static async Task AddAndRemoveAsync(TestCluster cluster, Action<int[]?> tell)
    {
        using var limit = LimitOn(cluster[1]);
        tell(null);
        await cluster[1].Node.AddMemberAsync(cluster[2].Address, limit.Token);
        tell([1, 2]);
        await cluster[1].PutAsync("two", "v", limit.Token);
        tell(null);
        await cluster[1].Node.RemoveMemberAsync(2, limit.Token);
        tell([1]);
        await cluster[1].PutAsync("one", "v", limit.Token);
    }
}
