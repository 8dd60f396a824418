// A whole node loses power at each of its syncs in turn, with nothing, all or part of what was not
// synced surviving: what it acknowledged, promised or voted is there after the restart.
//
// Threading: one test at a time. Failure: the message says at which sync.
using System.Globalization;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

[Collection(FaultCollection.Name)]
public sealed class NodePowerFailureTests
{
    private const int MaxSyncs = 400;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal async Task WhatTheOnlyVoterAcknowledgedIsThere(Survival survival)
    {
        for (int sync = 1; sync < MaxSyncs; sync++)
        {
            var disk = new SimulatedDisk { PowerOffAtSync = sync };
            await using var cluster = Cluster(disk, founders: 1);
            var acknowledged = await WriteUntilPowerFailsAsync(cluster, disk);
            long term = await EndAsync(cluster[1]);
            bool finished = !disk.IsOff;
            await StartAgainAsync(cluster[1], disk, survival, sync);
            await cluster.LeaderAsync();
            Assert.True(cluster[1].Node.Status.Term > term, $"sync {sync}: the term went back");
            foreach (var (key, value) in acknowledged)
            {
                Assert.True(cluster[1].Get(key) == value, $"sync {sync}: {key} is lost");
            }

            await cluster[1].PutAsync("after", "it", TestCluster.Limit);
            if (finished)
            {
                Assert.InRange(sync, 20, MaxSyncs);
                return;
            }
        }

        Assert.Fail("the workload never ended");
    }

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Random)]
    internal async Task WhatAFollowerVotedAndAcknowledgedIsThere(Survival survival)
    {
        for (int sync = 1; sync < MaxSyncs; sync++)
        {
            var disk = new SimulatedDisk { PowerOffAtSync = sync };
            await using var cluster = Cluster(disk, founders: 3);
            var promised = await FollowUntilPowerFailsAsync(cluster, disk);
            await EndAsync(cluster[1]);
            bool finished = !disk.IsOff;
            await StartAgainAsync(cluster[1], disk, survival, sync);
            var log = cluster[1].Node.Log;
            Assert.True(log.Term >= promised.Term, $"sync {sync}: the term went back");
            bool keptVote = log.Term > promised.Term || log.VotedFor == promised.Vote;
            Assert.True(keptVote || promised.Vote == 0, $"sync {sync}: the vote is lost");
            Assert.True(
                log.Records.LastIndex >= promised.LastIndex, $"sync {sync}: entries are lost");
            for (long index = log.Records.FirstIndex; index <= promised.LastIndex; index++)
            {
                Assert.True(
                    log.TermAt(index) == promised.Terms[index], $"sync {sync}: entry {index}");
            }

            if (finished)
            {
                Assert.InRange(sync, 15, MaxSyncs);
                return;
            }
        }

        Assert.Fail("the workload never ended");
    }

    private static TestCluster Cluster(SimulatedDisk disk, int founders)
    {
        // A voter alone campaigns never during the test; one voter needs nobody.
        var cluster = new TestCluster { ElectionTimeout = founders == 1 ? 100 : 30_000 };
        cluster.Runtime = cluster.Runtime with { SnapshotIntervalEntries = 8, MaxLogEntries = 4 };
        var node = cluster.Add(cluster.Prepare(1, disk, TimeProvider.System, founding: true));
        cluster.Found([.. Enumerable.Range(1, founders).Select(
            id => id == 1 ? node.Address : new MemberAddress(id, "127.0.0.1", id))]);
        return cluster;
    }

    private static async Task StartAgainAsync(
        TestNode node, SimulatedDisk disk, Survival survival, int sync)
    {
        node.Io = disk.Reboot(survival, new Random(sync));
        await node.StartAsync(TestCluster.Limit);
    }

    // The last term that it was known to be in.
    private static async Task<long> EndAsync(TestNode node)
    {
        long term = node.IsUp ? node.Node.Log.Term : 0;
        await node.StopAsync();
        return term;
    }

    private static async Task<Dictionary<string, string>> WriteUntilPowerFailsAsync(
        TestCluster cluster, SimulatedDisk disk)
    {
        var acknowledged = new Dictionary<string, string>();
        try
        {
            await cluster[1].StartAsync(TestCluster.Limit);
            await WaitForLeadershipAsync(cluster[1], disk);
            for (int i = 0; i < 20 && !disk.IsOff; i++)
            {
                using var limit = new CancellationTokenSource(Patience);
                string key = $"k{i % 5}";
                string value = i.ToString(CultureInfo.InvariantCulture);

                // Until it is acknowledged, the key may have either value.
                acknowledged.Remove(key);
                await cluster[1].PutAsync(key, value, limit.Token);
                acknowledged[key] = value;
            }
        }
        catch (PgraftException) when (disk.IsOff)
        {
            // As planned.
        }

        return acknowledged;
    }

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

    // Votes for two candidates in turn; each then leads and sends entries.
    private static async Task<Promise> FollowUntilPowerFailsAsync(
        TestCluster cluster, SimulatedDisk disk)
    {
        var promised = new Promise();
        try
        {
            await cluster[1].StartAsync(TestCluster.Limit);
            for (int term = 1; term <= 4 && !disk.IsOff; term++)
            {
                await using var channel = cluster[1].CallAs(2 + (term % 2));
                EnginePrivates.ForgetLeaderContact(cluster[1].Node.Engine);
                await VoteAsync(channel, term, 2 + (term % 2), promised);
                await AppendAsync(channel, term, promised);
            }
        }
        catch (Exception e) when (disk.IsOff && e is PgraftException or PeerUnavailableException)
        {
            // As planned.
        }

        return promised;
    }

    private static async Task VoteAsync(
        PeerChannel channel, long term, int candidate, Promise promised)
    {
        var request = new FrameWriter().Int64(term).Int64(1000).Int64(term);
        var body = new BodyReader(
            await channel.CallAsync(MessageType.Vote, request, Patience, TestCluster.Limit));
        long theirTerm = body.Int64();
        promised.Saw(theirTerm, body.Byte() != 0 ? candidate : 0);
    }

    private static async Task AppendAsync(PeerChannel channel, long term, Promise promised)
    {
        long previous = promised.LastIndex;
        var request = new FrameWriter().Int64(term).Int64(previous)
            .Int64(previous == 0 ? 0 : promised.Terms[previous]).Int64(previous).Int32(3);
        for (int i = 0; i < 3; i++)
        {
            request.Int64(term).Byte((byte)EntryKind.Command).Bytes([]);
        }

        var body = new BodyReader(
            await channel.CallAsync(MessageType.Append, request, Patience, TestCluster.Limit));
        promised.Saw(body.Int64(), 0);
        if ((HeartbeatResult)body.Byte() != HeartbeatResult.Rejected)
        {
            promised.Acknowledged(previous + 3, term);
        }
    }

    private sealed class Promise
    {
        public long Term { get; private set; }

        public int Vote { get; private set; }

        public long LastIndex { get; private set; }

        public Dictionary<long, long> Terms { get; } = [];

        public void Saw(long term, int vote)
        {
            Vote = term > Term ? vote : Math.Max(Vote, vote);
            Term = Math.Max(Term, term);
        }

        public void Acknowledged(long lastIndex, long term)
        {
            for (long index = LastIndex + 1; index <= lastIndex; index++)
            {
                Terms[index] = term;
            }

            LastIndex = lastIndex;
        }
    }
}
