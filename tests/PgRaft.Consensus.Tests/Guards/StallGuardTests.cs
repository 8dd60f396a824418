// Hazards 35, 38, 44 and 47: a disk that hangs without an error, and a snapshot that takes long,
// must not keep a majority that could go on from going on; nor may a member that is long dead keep
// a leader from heartbeats, or from noticing that it has no majority.
using System.Diagnostics;
using System.Text;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class StallGuardTests
{
    // What a busy machine may add to a time that is measured, ms.
    private const int Latitude = 1000;

    private const int DiskStandsStill = 113;

    [Fact]
    public async Task ALeaderWhoseDiskStandsStillIsReplacedAndComesBackAsAFollower()
    {
        await using var cluster = new TestCluster();
        var disks = AddOnDisks(cluster, 3);
        cluster.Found([.. cluster.Nodes.Select(n => n.Address)]);
        await cluster.StartAllAsync();
        var leader = await cluster.LeaderAsync();
        await leader.PutAsync("before", "v", TestCluster.Limit);
        long term = leader.Node.Status.Term;

        using var running = new ManualResetEventSlim();
        disks[leader].HoldSyncs = running;
        var hanging = leader.PutAsync("hanging", "v", TestCluster.Limit).AsTask();
        var clock = Stopwatch.StartNew();
        TestNode next;
        try
        {
            next = await cluster.LeaderAsync(otherThan: leader);
            await next.PutAsync("after", "v", TestCluster.Limit);
            Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(6));
            Assert.False(leader.Node.HoldsLease, "The stalled node still holds a lease.");
        }
        finally
        {
            running.Set();
        }

        await cluster.UntilAsync(
            () => leader.Get("after") == "v" && leader.Node.Status.Role == NodeRole.Follower,
            "the old leader to follow");
        var outcome = await Record.ExceptionAsync(() => hanging);
        Assert.True(
            outcome is null or PgraftException
            {
                Code: StatusCode.NotDone or StatusCode.OutcomeUnknown,
            },
            $"{outcome}");
        await cluster.AgreeAsync();
        Assert.Matches(
            $"^the disk of node {leader.Address.NodeId} has not finished a write for [0-9]+ ms: "
            + $"leadership of term {term} is given up$",
            Assert.Single(cluster.Said(DiskStandsStill)));
    }

    // Of four members one has an entry more than the others and is cut off, and another one's disk
    // hangs in the write of a term. The two that are left need a third vote, which they cannot
    // have; the first needs theirs, and nobody puts it off.
    [Fact]
    public async Task WhoCannotVoteAgreesToNoElection()
    {
        await using var network = new FaultyNetwork();
        await using var cluster = new TestCluster { Network = network };
        var disks = AddOnDisks(cluster, 4);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        var hung = followers[0];
        using var running = new ManualResetEventSlim();
        disks[hung].HoldSyncsOf = "term";
        disks[hung].HoldSyncs = running;
        try
        {
            await leader.PutAsync("before", "v", TestCluster.Limit);
            network.Isolate(
                leader.Address.NodeId, followers.Select(f => f.Address.NodeId));
            var extra = leader.PutAsync("extra", "v", TestCluster.Limit).AsTask();
            await cluster.UntilAsync(
                () => leader.Node.Status.Role != NodeRole.Leader, "the leader to give up");

            await NoElectionsAsync(cluster, followers[1..]);
            network.Heal();
            var next = await cluster.LeaderAsync();
            await next.PutAsync("after", "v", TestCluster.Limit);

            Assert.Same(leader, next);
            Assert.True(await Record.ExceptionAsync(() => extra) is null or PgraftException);
        }
        finally
        {
            running.Set();
        }

        await cluster.AgreeAsync();
        Assert.Equal("v", leader.Get("extra"));
    }

    // Ongaro 2014 §10.2.1: nobody waits for the leader's own disk but its commit index.
    [Fact]
    public async Task WhatALeaderIsStillSyncingTheOthersHaveOnDisk()
    {
        await using var cluster = new TestCluster { ElectionTimeout = 2000 };
        var disks = AddOnDisks(cluster, 3);
        await cluster.StartAllAsync();
        var (leader, _) = await cluster.RolesAsync();
        await leader.PutAsync("before", "v", TestCluster.Limit);
        long before = leader.Node.Status.LastIndex;
        using var running = new ManualResetEventSlim();
        disks[leader].HoldSyncs = running;
        var put = leader.PutAsync("k", "v", TestCluster.Limit).AsTask();
        try
        {
            await cluster.UntilAsync(
                () => leader.Node.GetReplication().Count(f => f.MatchIndex > before) == 2,
                "both followers to have it on disk");
            Assert.Equal(before, leader.Node.Status.CommitIndex);
            Assert.False(put.IsCompleted, "The put was answered before the leader had it on disk.");
        }
        finally
        {
            running.Set();
        }

        await put;
    }

    private static Dictionary<TestNode, SimulatedDisk> AddOnDisks(TestCluster cluster, int count)
    {
        var disks = new Dictionary<TestNode, SimulatedDisk>();
        for (int id = 1; id <= count; id++)
        {
            var disk = new SimulatedDisk();
            var node = cluster.Add(cluster.Prepare(id, disk, TimeProvider.System, founding: true));
            disks.Add(node, disk);
        }

        return disks;
    }

    // For so long that any of them would have stood again.
    private static Task NoElectionsAsync(TestCluster cluster, TestNode[] nodes)
    {
        long term = -1;
        var clock = Stopwatch.StartNew();
        return cluster.UntilAsync(
            () =>
            {
                long newest = nodes.Max(n => n.Node.Status.Term);
                if (newest != term)
                {
                    term = newest;
                    clock.Restart();
                }

                return clock.ElapsedMilliseconds > TestCluster.ElectionTimeoutMs * 5;
            },
            "elections to end");
    }

    // One follower takes a snapshot slowly while the other misses a round: the rounds must go on.
    [Fact]
    public async Task ASlowSnapshotDoesNotHoldUpTheOthers()
    {
        await using var network = new FaultyNetwork();
        var runtime = new TestCluster().Runtime with
        {
            MaxLogEntries = 0,
            SnapshotIntervalEntries = 40,
        };
        await using var cluster = new TestCluster { Network = network, Runtime = runtime };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        var (slow, other) = (followers[0], followers[1]);
        await slow.StopAsync();
        await FillAsync(leader, entries: 400, bytes: 100_000);
        await cluster.UntilAsync(
            () => leader.Node.Status.FirstIndex > 100, "the log to be compacted");

        // 40 MB in pieces of half a megabyte, 150 ms each: 12 s and more.
        int from = leader.Address.NodeId;
        var delay = TimeSpan.FromMilliseconds(150);
        network.Delay(from, slow.Address.NodeId, delay);
        await slow.StartAsync(TestCluster.Limit);
        await cluster.UntilAsync(
            () => StateOf(leader, slow) == "snapshot", "the transfer to begin");
        network.Cut(from, other.Address.NodeId);
        network.Cut(other.Address.NodeId, from);
        await cluster.UntilAsync(
            () => leader.Node.Status.Role != NodeRole.Leader
                || StateOf(leader, other) == "unreachable",
            "the other to be missed");
        network.Heal();
        network.Delay(from, slow.Address.NodeId, delay);

        var clock = Stopwatch.StartNew();
        await cluster.UntilAsync(
            async () => await WriteAsync(await cluster.LeaderAsync(), "after"), "a write");
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(8));
        Assert.Equal(0, slow.Node.Status.AppliedIndex);
        network.Heal();
        await cluster.UntilAsync(() => slow.Get("after") == "v", "the slow one to catch up");
    }

    // Fewer rounds than the engine's queue for a member holds: when it is full, the rest counts as
    // missing at once.
    [Fact]
    public async Task ALeaderNoticesTheLossOfItsMajorityAlsoWhenAMemberWasMissingBefore()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        await followers[0].StopAsync();
        long sent = leader.Node.Status.HeartbeatsSent;
        await cluster.UntilAsync(
            () => leader.Node.Status.HeartbeatsSent > sent + 40, "rounds to queue for the dead");

        await followers[1].StopAsync();
        var clock = Stopwatch.StartNew();
        await cluster.UntilAsync(
            () => leader.Node.Status.Role != NodeRole.Leader, "the leader to give up");

        Assert.InRange(
            clock.ElapsedMilliseconds, 0, TestCluster.ElectionTimeoutMs * 2 + Latitude);
    }

    // Appends of one entry each, 20 ms each: a slow member's part of a round ends without its last
    // entry, and the engine waits for the third one's word.
    [Fact]
    public async Task ALeaderWithAMemberAwayIsHeardByASlowOne()
    {
        await using var network = new FaultyNetwork();
        var runtime = new TestCluster().Runtime with { BatchSizeEntries = 1 };
        await using var cluster = new TestCluster
        {
            Network = network,
            Runtime = runtime,
            ElectionTimeout = 1000,
        };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        var (gone, slow) = (followers[0], followers[1]);
        await gone.StopAsync();
        network.Delay(
            leader.Address.NodeId, slow.Address.NodeId, TimeSpan.FromMilliseconds(20));
        await cluster.UntilAsync(
            () => StateOf(leader, gone) == "unreachable", "the dead to be missed");
        long asked = slow.Node.Status.ElectionsTriggered;
        int timeouts = Timeouts(cluster, slow);

        for (int i = 0; i < 5; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 50).Select(
                k => leader.PutAsync($"k{k}", "v", TestCluster.Limit).AsTask()));
        }

        Assert.Equal(timeouts, Timeouts(cluster, slow));
        Assert.Equal(asked, slow.Node.Status.ElectionsTriggered);
    }

    // Its absence was noticed by a leader that is elected again.
    [Fact]
    public async Task AMemberThatWasAwayCountsInTheNextTerm()
    {
        await using var cluster = await TestCluster.FoundAsync(2);
        var (leader, followers) = await cluster.RolesAsync();
        long term = leader.Node.Status.Term;
        await followers[0].StopAsync();
        await cluster.UntilAsync(
            () => leader.Node.Status.Role != NodeRole.Leader, "the leader to give up");

        await followers[0].StartAsync(TestCluster.Limit);
        var next = await cluster.LeaderAsync();
        await next.PutAsync("after", "v", TestCluster.Limit);
        Assert.InRange(next.Node.Status.Term, term + 1, term + 2);
    }

    private static int Timeouts(TestCluster cluster, TestNode node) =>
        ((LoggerFactoryForTests)cluster.Loggers).Text.Split('\n').Count(
            line => line.Contains(
                $"election timeout: node {node.Address.NodeId} ", StringComparison.Ordinal));

    private static string StateOf(TestNode leader, TestNode follower) =>
        leader.Node.GetReplication()
            .SingleOrDefault(f => f.NodeId == follower.Address.NodeId)?.State ?? "";

    // A second at most: what a deposed leader has proposed is decided by its successor.
    private static async Task<bool> WriteAsync(TestNode node, string key)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            await node.PutAsync(key, "v", limit.Token);
            return true;
        }
        catch (PgraftException)
        {
            return false;
        }
    }

    private static async Task FillAsync(TestNode leader, int entries, int bytes)
    {
        byte[] value = new byte[bytes];
        for (int i = 0; i < entries; i++)
        {
            await leader.Node.ProposeAsync(
                CommandEncoder.KvPut(Encoding.UTF8.GetBytes($"k{i}"), value), 0,
                TestCluster.Limit);
        }
    }
}
