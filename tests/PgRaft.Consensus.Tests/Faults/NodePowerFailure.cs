// A whole node loses power at its syncs, with nothing or a random part of what was not synced
// surviving: what it acknowledged, promised or voted is there after the restart. Some syncs are
// tried in every test run, every one in turn by `make test-long`.
//
// The other files have the workloads: Voters, Snapshots, Membership, Founding, Leader.
// Threading: one test at a time. Failure: the message says at which sync.
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

[Collection(FaultCollection.Name)]
public sealed class NodePowerFailureTests() : NodePowerFailure(everySync: false);

[Collection(FaultCollection.Name)]
[Trait("Category", "long")]
public sealed class EveryNodePowerFailureTests() : NodePowerFailure(everySync: true);

public abstract partial class NodePowerFailure
{
    // A voter alone campaigns at once; one of several never does during the test.
    private const int SoleTimeoutMs = 20;
    private const int FollowerTimeoutMs = 30_000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private readonly SyncPoints _points;

    private protected NodePowerFailure(bool everySync)
    {
        _points = new SyncPoints(everySync);
    }

    // Node 1 on the disk; the other founders are not there.
    private static TestCluster Cluster(SimulatedDisk disk, int founders)
    {
        var cluster = new TestCluster
        {
            ElectionTimeout = founders == 1 ? SoleTimeoutMs : FollowerTimeoutMs,
        };
        cluster.Runtime = cluster.Runtime with { SnapshotIntervalEntries = 8, MaxLogEntries = 4 };
        var clock = new TestClock(rate: 1);
        var node = cluster.Add(cluster.Prepare(1, disk, clock, founding: true));
        cluster.Found([.. Enumerable.Range(1, founders).Select(
            id => id == 1 ? node.Address : new MemberAddress(id, "127.0.0.1", id))]);
        return cluster;
    }

    // Ends early when the power goes.
    private static async Task UntilPowerFailsAsync(SimulatedDisk disk, Func<Task> workAsync)
    {
        try
        {
            await workAsync();
        }
        catch (Exception e) when (disk.IsOff
            && e is PgraftException or PeerUnavailableException or InvalidOperationException)
        {
            // As planned.
        }
    }

    // A call on a node that has failed waits for nothing.
    private static CancellationTokenSource LimitOn(TestNode node)
    {
        var limit = new CancellationTokenSource(Patience);
        node.Node.Failure.ContinueWith(
            _ => limit.Cancel(), CancellationToken.None, TaskContinuationOptions.None,
            TaskScheduler.Default);
        return limit;
    }

    private static async Task StartAgainAsync(
        TestNode node, SimulatedDisk disk, Survival survival, int sync)
    {
        await node.StopAsync();
        node.Io = disk.Reboot(survival, new Random(sync));
        await node.StartAsync(TestCluster.Limit);
    }

    // Or until the power goes.
    private static async Task WaitForLeadershipAsync(TestNode node, SimulatedDisk disk)
    {
        while (node.Node.View.Tenure is null && !disk.IsOff)
        {
            long seen = node.Node.View.Version;
            var changed = node.Node.View.WaitChangeAsync(seen, TestCluster.Limit);
            if (node.Node.View.Tenure is null)
            {
                await Task.WhenAny(changed, node.Node.Failure);
            }
        }
    }
}
