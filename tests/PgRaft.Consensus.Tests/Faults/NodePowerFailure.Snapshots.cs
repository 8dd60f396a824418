// Workload of a follower that is brought up to date by snapshots: each is there wholly or not at
// all, and for good once it was acknowledged. Threading and failure: see NodePowerFailure.
using System.Text;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Snapshots;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

public abstract partial class NodePowerFailure
{
    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal async Task ASnapshotIsInstalledWhollyOrNotAtAll(Survival survival)
    {
        var states = new Dictionary<long, string> { [0] = HashOf(new StateMachine()) };
        await _points.RunAsync(
            least: 15,
            async sync =>
            {
                var disk = new SimulatedDisk { PowerOffAtSync = sync };
                await using var cluster = Cluster(disk, founders: 3);
                cluster.Runtime = cluster.Runtime with { SnapshotIntervalEntries = 10_000 };
                var promise = new Promise();
                await UntilPowerFailsAsync(
                    disk, () => InstallAsync(cluster[1], promise, states));
                await StartAgainAsync(cluster[1], disk, survival, sync);
                promise.RequireKept(cluster[1].Node.Log, $"sync {sync}");
                RequireWhole(cluster[1], promise, states, $"sync {sync}");
                return disk.Syncs;
            });
    }

    private static void RequireWhole(
        TestNode node, Promise promise, Dictionary<long, string> states, string when)
    {
        // A node starts with its snapshot; what the log has after it is not known committed yet.
        long index = node.StateMachine.AppliedIndex;
        Assert.True(index >= promise.SnapshotIndex, $"{when}: the snapshot is gone");
        Assert.True(states.TryGetValue(index, out string? hash), $"{when}: no snapshot of {index}");
        Assert.True(hash == node.Hash(), $"{when}: the state at {index} is another");
        var members = node.Node.Membership.Active;
        Assert.True(members.Contains(9) == (index > 0), $"{when}: the configuration is another");
    }

    private static async Task InstallAsync(
        TestNode node, Promise promise, Dictionary<long, string> states)
    {
        await node.StartAsync(TestCluster.Limit);
        var machine = new StateMachine();
        var command = (EntryKind.Command, CommandEncoder.KvPut("k"u8, "v"u8));
        await using var leader = new FakeLeader(node, 2, term: 1, promise);
        await leader.AskForVoteAsync();
        await leader.AppendAsync(0, command, command, command);
        await InstallAsync(leader, node, machine, index: 20, states);
        await leader.AppendAsync(20, command, command);

        // Over entries that are not committed, and at the very end of the log.
        await InstallAsync(leader, node, machine, index: 40, states);
        await leader.AppendAsync(40, command);
        await InstallAsync(leader, node, machine, index: 41, states);
        await leader.AppendAsync(41, command);
    }

    private static async Task InstallAsync(
        FakeLeader leader, TestNode node, StateMachine machine, long index,
        Dictionary<long, string> states)
    {
        byte[] value = new byte[8_000];
        while (machine.AppliedIndex < index)
        {
            byte[] key = Encoding.UTF8.GetBytes($"k{machine.AppliedIndex % 10}");
            value[0]++;
            machine.Apply(machine.AppliedIndex + 1, 1, CommandEncoder.KvPut(key, value));
        }

        states[index] = HashOf(machine);
        var members = node.Node.Membership.Active;
        var newcomer = new MemberAddress(9, "127.0.0.1", 9);
        await leader.InstallAsync(
            index, 1, FileOf(machine, (Configuration)members.Add(newcomer)));
    }

    private static string HashOf(StateMachine machine) =>
        StateHash.ComputeHex(machine.Capture());

    // As another member would have written it.
    private static byte[] FileOf(StateMachine machine, Configuration configuration)
    {
        var image = machine.Capture();
        var store = SnapshotStore.Open("/elsewhere", new SimulatedDisk());
        using (var writer = store.CreateWriter(
            image.AppliedIndex, image.AppliedTerm, 1, configuration.Bytes.Span, 0,
            TestContext.Current.CancellationToken))
        {
            Core.Snapshots.SnapshotWriter.Write(writer.Content, image);
            writer.Commit();
        }

        using var stream = store.OpenRaw(out var info);
        byte[] file = new byte[info.TotalBytes];
        stream.ReadExactly(file);
        return file;
    }
}
