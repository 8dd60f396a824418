// Workloads of a node that is its cluster's only voter, and of one that votes for others and
// follows them. Threading and failure: see NodePowerFailure.
using System.Globalization;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

public abstract partial class NodePowerFailure
{
    private const int Terms = 4;

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal Task WhatTheOnlyVoterAcknowledgedIsThere(Survival survival) => _points.RunAsync(
        least: 20,
        async sync =>
        {
            var disk = new SimulatedDisk { PowerOffAtSync = sync };
            await using var cluster = Cluster(disk, founders: 1);
            var acknowledged = new Dictionary<string, string>();
            await UntilPowerFailsAsync(disk, () => WriteAsync(cluster[1], disk, acknowledged));
            long term = cluster[1].IsUp ? cluster[1].Node.Log.Term : 0;
            await StartAgainAsync(cluster[1], disk, survival, sync);
            await cluster.LeaderAsync();
            Assert.True(cluster[1].Node.Status.Term > term, $"sync {sync}: the term went back");
            foreach (var (key, value) in acknowledged)
            {
                Assert.True(cluster[1].Get(key) == value, $"sync {sync}: {key} is lost");
            }

            await cluster[1].PutAsync("after", "it", TestCluster.Limit);
            return disk.Syncs;
        });

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal Task WhatAFollowerVotedAndAcknowledgedIsThere(Survival survival) => _points.RunAsync(
        least: 15,
        async sync =>
        {
            var disk = new SimulatedDisk { PowerOffAtSync = sync };
            await using var cluster = Cluster(disk, founders: 3);
            var promise = new Promise();
            await UntilPowerFailsAsync(disk, () => FollowAsync(cluster[1], disk, promise));
            Assert.True(disk.IsOff || promise.Votes == Terms, $"{promise.Votes} votes");
            await StartAgainAsync(cluster[1], disk, survival, sync);
            promise.RequireKept(cluster[1].Node.Log, $"sync {sync}");
            return disk.Syncs;
        });

    private static async Task WriteAsync(
        TestNode node, SimulatedDisk disk, Dictionary<string, string> acknowledged)
    {
        await node.StartAsync(TestCluster.Limit);
        await WaitForLeadershipAsync(node, disk);
        for (int i = 0; i < 20 && !disk.IsOff; i++)
        {
            using var limit = LimitOn(node);
            string key = $"k{i % 5}";
            string value = i.ToString(CultureInfo.InvariantCulture);

            // Until it is acknowledged, the key may have either value.
            acknowledged.Remove(key);
            await node.PutAsync(key, value, limit.Token);
            acknowledged[key] = value;
        }
    }

    // Votes for two candidates in turn; each then leads and sends entries.
    private static async Task FollowAsync(TestNode node, SimulatedDisk disk, Promise promise)
    {
        await node.StartAsync(TestCluster.Limit);
        for (int term = 1; term <= Terms && !disk.IsOff; term++)
        {
            // It has not heard of the last leader for long enough.
            ((TestClock)node.Clock).Jump(TimeSpan.FromMilliseconds(2 * FollowerTimeoutMs));
            await using var leader = new FakeLeader(node, 2 + (term % 2), term, promise);
            await leader.AskForVoteAsync();
            var entry = (EntryKind.Command, Array.Empty<byte>());
            await leader.AppendAsync(promise.LastIndex, entry, entry, entry);
        }
    }
}
