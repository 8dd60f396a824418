// Hazard 31: rounds that end prove nothing about who still takes this node for the leader.
//
// Threading: one real node, two peers that are played. Failure: the deadline of a wait.
using System.Text;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class ReadGuardTests
{
    private const int ElectionTimeoutMs = 1000;

    // One peer takes a snapshot, a piece a round, the other is silent: the engine's rounds end with
    // a majority that was touched. Once the pieces stop, nobody acknowledges anything any more.
    [Fact]
    public async Task AReadIsConfirmedByWhatWasSentAfterItWasAskedFor()
    {
        var pieces = new SemaphoreSlim(0);
        var silent = new SilentPeer(pieces);
        int taken = 0;
        var slow = new ScriptedPeer
        {
            Votes = true,
            Appends = true,
            BeforePiece = async token =>
            {
                await pieces.WaitAsync(token);
                Interlocked.Increment(ref taken);
            },
        };
        await using var two = await FakePeer.StartAsync(slow.Answer);
        await using var three = await FakePeer.StartAsync(silent.Answer, nodeId: 3);
        await using var cluster = new TestCluster { ElectionTimeout = ElectionTimeoutMs };
        cluster.Runtime = cluster.Runtime with { MaxLogEntries = 0, SnapshotIntervalEntries = 10 };
        var node = cluster.Add(
            cluster.Prepare(1, new SimulatedDisk(), TimeProvider.System, founding: true));
        cluster.Found([node.Address, two.Address, three.Address]);
        await node.StartAsync(TestCluster.Limit);
        await FillAsync(cluster, node);

        slow.IsEmpty = true;
        silent.IsSilent = true;
        await cluster.UntilAsync(() => Volatile.Read(ref taken) >= 2, "the snapshot to begin");
        silent.GivesPieces = false;

        var error = await Assert.ThrowsAsync<PgraftException>(
            async () => await node.Node.LeaderReadIndexAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.NotLeader, error.Code);
    }

    // Ten megabytes in entries that each fill a segment, so that the log is compacted.
    private static async Task FillAsync(TestCluster cluster, TestNode node)
    {
        byte[] value = new byte[250_000];
        for (int i = 0; i < 40; i++)
        {
            var command = CommandEncoder.KvPut(Encoding.UTF8.GetBytes($"k{i}"), value);
            await cluster.UntilAsync(() => ProposedAsync(cluster, node, command), "a write");
        }

        await cluster.UntilAsync(
            () => node.Node.Status.FirstIndex > 10, "the log to be compacted");
    }

    // Again when a busy machine has cost the leadership meanwhile.
    private static async Task<bool> ProposedAsync(
        TestCluster cluster, TestNode node, byte[] command)
    {
        await cluster.LeaderAsync();
        try
        {
            await node.Node.ProposeAsync(command, 0, TestCluster.Limit);
            return true;
        }
        catch (PgraftException e) when (e.Code == StatusCode.NotLeader)
        {
            return false;
        }
    }

    // Votes and takes entries until it is silent; from then on the other peer gets a piece in the
    // middle of each round that waits for this one.
    private sealed class SilentPeer(SemaphoreSlim pieces)
    {
        private readonly ScriptedPeer _willing = new() { Votes = true, Appends = true };

        public volatile bool IsSilent;
        public volatile bool GivesPieces = true;

        public async ValueTask Answer(Frame request, FrameWriter answer, CancellationToken token)
        {
            if (!IsSilent)
            {
                await _willing.Answer(request, answer, token);
                return;
            }

            await Task.Delay(ElectionTimeoutMs / 3, token);
            if (GivesPieces)
            {
                pieces.Release();
            }

            await Task.Delay(Timeout.Infinite, token);
        }
    }
}
