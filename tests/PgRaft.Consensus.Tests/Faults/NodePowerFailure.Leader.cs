// Workload of a leader of three: what it acknowledged is on all members in the end, whatever its
// disk has lost. Threading and failure: see NodePowerFailure.
using System.Globalization;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

public abstract partial class NodePowerFailure
{
    private const int LeaderTimeoutMs = 150;
    private const int LeaderWrites = 12;
    private const int MaxAttempts = 10;

    // One cluster for all syncs: founding it takes longer than losing its leader.
    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal async Task WhatALeaderAcknowledgedIsOnAllInTheEnd(Survival survival)
    {
        await using var cluster = new TestCluster { ElectionTimeout = LeaderTimeoutMs };
        cluster.Runtime = cluster.Runtime with { SnapshotIntervalEntries = 8, MaxLogEntries = 4 };
        for (int id = 1; id <= 3; id++)
        {
            cluster.Add(cluster.Prepare(
                id, new SimulatedDisk(), TimeProvider.System, founding: true));
        }

        await cluster.StartAllAsync();
        var invariants = new ClusterInvariants();
        var acknowledged = new Dictionary<string, string>();
        await _points.RunAsync(
            least: LeaderWrites,
            async sync =>
            {
                var (leader, made) = await LeadAsync(cluster, sync, acknowledged);
                await LosePowerAsync(leader, survival, sync, invariants);
                await cluster.PutAsync("after", "it");
                await leader.StartAsync(TestCluster.Limit);
                await cluster.AgreeAsync();
                Assert.Empty(invariants.Violations);
                foreach (var (key, value) in acknowledged)
                {
                    Assert.True(leader.Get(key) == value, $"sync {sync}: {key} is lost");
                }

                return made;
            });
    }

    // Where it did not come to the sync, the power goes now.
    private static async Task LosePowerAsync(
        TestNode node, Survival survival, int sync, ClusterInvariants invariants)
    {
        var log = node.Node.Log;
        await node.StopAsync();
        node.Io = ((SimulatedDisk)node.Io).Reboot(survival, new Random(sync));
        invariants.Remembers(
            node.Address.NodeId, (log.Term, log.VotedFor),
            ClusterWatcher.VoteOnDisk(node) ?? default);
    }

    // Whoever leads, and the syncs it made until the power went or all was written.
    private static async Task<(TestNode Leader, int Syncs)> LeadAsync(
        TestCluster cluster, int sync, Dictionary<string, string> acknowledged)
    {
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var leader = await cluster.LeaderAsync();
            var disk = (SimulatedDisk)leader.Io;
            int before = disk.Syncs;
            disk.PowerOffAtSync = before + sync;
            if (await WriteAllAsync(leader, acknowledged) || disk.IsOff)
            {
                return (leader, disk.Syncs - before);
            }

            // On a busy machine leaders change.
            disk.PowerOffAtSync = 0;
        }

        throw new TimeoutException("nobody led for long enough");
    }

    private static async Task<bool> WriteAllAsync(
        TestNode leader, Dictionary<string, string> acknowledged)
    {
        try
        {
            for (int i = 0; i < LeaderWrites; i++)
            {
                using var limit = LimitOn(leader);
                string key = $"k{i % 5}";
                string value = i.ToString(CultureInfo.InvariantCulture);
                acknowledged.Remove(key);
                await leader.PutAsync(key, value, limit.Token);
                acknowledged[key] = value;
            }

            return true;
        }
        catch (PgraftException)
        {
            return false;
        }
    }
}
