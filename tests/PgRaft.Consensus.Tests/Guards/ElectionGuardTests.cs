// Hazards 17, 23, 29, 33 and 34: who votes, who stands, and who may say that it leads.
//
// Threading: one real node a test, its peers are played. Failure: the deadline of a wait.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class ElectionGuardTests
{
    private static TaskCompletionSource<bool> NewGate =>
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The engine would count votes by the old members until it has taken over the new ones.
    [Fact]
    public async Task AnAppendIsAcknowledgedOnlyWhenItsConfigurationIsInUse()
    {
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        await node.StartAsync(TestCluster.Limit);
        var two = node.Address with { NodeId = 2, Port = TestNode.FreePort() };
        var both = Configuration.Found(FakePeer.Founding, [node.Address, two]);
        await using var leader = FakePeer.Call(node.Address, 2);
        Assert.True(await FakePeer.InviteAsync(leader, term: 4));
        var gate = NewGate;
        var hosting = await HostUntilAsync(node, gate);

        var append = leader.AppendAsync(
            4, 0, 0, new LogRecord(1, 4, EntryKind.Configuration, both.Bytes));
        await cluster.UntilAsync(() => node.Node.Status.LastIndex == 1, "the entry to be there");
        await cluster.NeverAsync(
            () => append.IsCompleted, "It was acknowledged before its members were in use");

        gate.SetResult(true);
        await hosting;
        await append;
        Assert.True(node.Node.Membership.IsSettled);
        Assert.Equal(NodeRole.Follower, node.Node.Status.Role);
    }

    // The peer would elect it; but who counts the votes is not who should.
    [Fact]
    public async Task ANodeDoesNotStandWhileItsMembersAreNotSettled()
    {
        var peer = new ScriptedPeer { Appends = true };
        await using var fake = await FakePeer.StartAsync(peer.Answer);
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        cluster.Found([node.Address, fake.Address]);
        await node.StartAsync(TestCluster.Limit);
        var gate = NewGate;
        var hosting = await HostUntilAsync(node, gate);
        peer.Votes = true;
        long elections = node.Node.Status.ElectionsTriggered;

        int asked = peer.PreVotes;
        await cluster.UntilAsync(() => peer.PreVotes >= asked + 3, "three tries");
        Assert.Equal(elections, node.Node.Status.ElectionsTriggered);

        gate.SetResult(true);
        await hosting;
        await cluster.LeaderAsync();
    }

    // A leader counts an acknowledged heartbeat from when it was sent, a candidate its vote: one of
    // the two must be refused. Both wait for the node's candidacy, whose term hangs in the disk.
    [Fact]
    public async Task AnAppendDuringAVoteIsNotAcknowledgedBesideIt()
    {
        var peer = new ScriptedPeer();
        await using var fake = await FakePeer.StartAsync(peer.Answer);
        var disk = new SimulatedDisk { HoldSyncsOf = "/term" };
        var clock = new TestClock(rate: 1);
        await using var cluster = new TestCluster();
        var node = cluster.Add(cluster.Prepare(1, disk, clock, founding: true));
        var three = node.Address with { NodeId = 3, Port = TestNode.FreePort() };
        cluster.Found([node.Address, fake.Address, three]);
        await node.StartAsync(TestCluster.Limit);
        await using var leader = node.CallAs(2);
        await using var candidate = node.CallAs(3);
        bool granted = false;
        for (int round = 0; !granted; round++)
        {
            Assert.True(round < 20, "No vote was ever granted.");
            clock.Jump(TimeSpan.FromSeconds(5));
            long term = node.Node.Log.Term + 10;
            Task<(long Term, bool Granted)> vote;
            Task<(long Term, HeartbeatResult Result, long LastIndex)> append;
            using (await HoldTermAsync(cluster, disk, peer))
            {
                long messages = node.Node.Status.MessagesProcessed;
                vote = candidate.VoteAsync(term + 1);
                await cluster.UntilAsync(
                    () => node.Node.Status.MessagesProcessed > messages, "the vote's request");
                append = leader.AppendAsync(term, 0, 0);
                await cluster.UntilAsync(
                    () => node.Node.Status.MessagesProcessed > messages + 1, "the append");
            }

            granted = (await vote).Granted;
            bool acknowledged = (await append).Term <= term;
            Assert.False(granted && acknowledged, "It did both.");
        }
    }

    // The term is saved before the old leadership ends. Held there, the entry of the old term is
    // applied, and the engine says that this node leads; but not which term.
    // On a real disk whose syncs take a second it would lose its leadership before. Who waits for
    // the election learns of the new term before it is held there, or does not learn of it.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ANodeDoesNotClaimATermThatItDidNotWin(bool isKnown)
    {
        var answers = NewGate;
        var asked = NewGate;
        var peer = new ScriptedPeer
        {
            Votes = true,
            Appends = true,
            BeforeAppend = (_, token) =>
            {
                asked.TrySetResult(true);
                return answers.Task.WaitAsync(token);
            },
        };
        await using var fake = await FakePeer.StartAsync(peer.Answer);
        await using var cluster = new TestCluster { ElectionTimeout = 3000 };
        var disk = new SimulatedDisk();
        var node = cluster.Add(cluster.Prepare(1, disk, TimeProvider.System, founding: true));
        var three = node.Address with { NodeId = 3, Port = TestNode.FreePort() };
        cluster.Found([node.Address, fake.Address, three]);
        await node.StartAsync(TestCluster.Limit);
        long term = long.MaxValue;
        using var goOn = new ManualResetEventSlim();
        var reached = NewGate;
        void HoldAfterTerm()
        {
            if (node.Node.Log.Term > Volatile.Read(ref term) && reached.TrySetResult(true))
            {
                goOn.Wait(TimeSpan.FromSeconds(20));
            }
        }

        // Those who listen are told in turn, and who waits for an election begins anew with it.
        if (!isKnown)
        {
            node.Node.Log.Changed += HoldAfterTerm;
        }

        await asked.Task.WaitAsync(TestCluster.Limit);

        // Its own sync tells of a change too, and must not be what is held below.
        await cluster.UntilAsync(() => node.Node.Log.Records.DurableIndex > 0, "its entry's sync");
        Volatile.Write(ref term, node.Node.Log.Term);
        if (isKnown)
        {
            node.Node.Log.Changed += HoldAfterTerm;
        }

        try
        {
            await using var next = node.CallAs(3);
            var append = next.AppendAsync(term + 1, 0, 0);
            await reached.Task.WaitAsync(TestCluster.Limit);
            answers.SetResult(true);
            await cluster.UntilAsync(() => node.Node.Status.AppliedIndex > 0, "its entry's apply");
            await cluster.NeverAsync(
                () => node.Node.View.Tenure is not null, "It claims the next leader's term");
            goOn.Set();
            Assert.NotEqual(HeartbeatResult.Rejected, (await append).Result);
            Assert.Equal(NodeRole.Follower, node.Node.Status.Role);
        }
        finally
        {
            goOn.Set();
        }
    }

    // The engine ends a leadership after it has saved the term that ends it; held in between.
    [Fact]
    public async Task ALeaderSaysNotThatItLeadsALaterTerm()
    {
        var peer = new ScriptedPeer { Votes = true, Appends = true };
        await using var fake = await FakePeer.StartAsync(peer.Answer);
        await using var cluster = new TestCluster { ElectionTimeout = 3000 };
        var node = cluster.Add(
            cluster.Prepare(1, new SimulatedDisk(), TimeProvider.System, founding: true));
        var three = node.Address with { NodeId = 3, Port = TestNode.FreePort() };
        cluster.Found([node.Address, fake.Address, three]);
        await node.StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync();
        long term = node.Node.Log.Term;
        using var goOn = new ManualResetEventSlim();
        var reached = NewGate;
        node.Node.Log.Changed += () =>
        {
            if (node.Node.Log.Term > term && reached.TrySetResult(true))
            {
                goOn.Wait(TimeSpan.FromSeconds(20));
            }
        };

        await using var next = node.CallAs(3);
        var append = next.AppendAsync(term + 1, 0, 0);
        NodeStatus status;
        LeadershipChange change;
        try
        {
            await reached.Task.WaitAsync(TestCluster.Limit);
            Assert.NotNull(node.Node.View.Tenure);
            status = node.Node.Status;
            change = node.Node.GetHistory()[^1];
        }
        finally
        {
            goOn.Set();
        }

        Assert.Equal((term + 1, NodeRole.Follower), (status.Term, status.Role));
        Assert.Equal((0, 0), (status.LeaderId, status.LeaseDeadlineNs));
        Assert.Equal((term + 1, NodeRole.Follower, 0), (change.Term, change.Role, change.LeaderId));
        Assert.Equal($"another member began term {term + 1}", change.Cause);
        Assert.NotEqual(HeartbeatResult.Rejected, (await append).Result);
    }

    [Theory]
    [InlineData(true, StatusCode.DiskFull)]
    [InlineData(false, StatusCode.IoError)]
    public async Task ATermThatCannotBeSavedEndsTheNode(bool isFull, StatusCode expected)
    {
        var peer = new ScriptedPeer();
        await using var fake = await FakePeer.StartAsync(peer.Answer);
        var disk = new SimulatedDisk();
        await using var cluster = new TestCluster();
        var node = cluster.Add(cluster.Prepare(1, disk, TimeProvider.System, founding: true));
        cluster.Found([node.Address, fake.Address]);
        await node.StartAsync(TestCluster.Limit);
        disk.FailSyncOf = "/term";
        disk.FailSync = isFull ? 0 : disk.Syncs + 1;
        disk.SpaceBytes = isFull ? 1 : long.MaxValue;
        peer.Votes = true;

        var failure = await node.Node.Failure.WaitAsync(TestCluster.Limit);

        Assert.Equal(expected, failure.Code);
        Assert.Equal(0, node.Node.Status.ElectionsTriggered);
    }

    // Only the log hangs: a term could still be saved, and its peer would elect it.
    [Fact]
    public async Task ANodeWhoseLogStandsStillDoesNotStand()
    {
        var peer = new ScriptedPeer { Votes = true, Appends = true };
        await using var fake = await FakePeer.StartAsync(peer.Answer);
        var disk = new SimulatedDisk { HoldSyncsOf = "/segment-" };
        await using var cluster = new TestCluster();
        var node = cluster.Add(cluster.Prepare(1, disk, TimeProvider.System, founding: true));
        cluster.Found([node.Address, fake.Address]);
        await node.StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync();
        await node.PutAsync("before", "v", TestCluster.Limit);
        Task hanging;
        using (new Release(disk))
        {
            hanging = node.PutAsync("hanging", "v", TestCluster.Limit).AsTask();
            await cluster.UntilAsync(
                () => node.Node.Status.Role != NodeRole.Leader, "leadership to be given up");
            long elections = node.Node.Status.ElectionsTriggered;
            int asked = peer.PreVotes;
            await cluster.UntilAsync(() => peer.PreVotes >= asked + 3, "three tries");
            Assert.Equal(elections, node.Node.Status.ElectionsTriggered);
        }

        await cluster.LeaderAsync();
        await node.PutAsync("after", "v", TestCluster.Limit);
        await Record.ExceptionAsync(() => hanging);
    }

    // To the engine an answer that makes no sense would be the end of the election, or of the node.
    [Fact]
    public async Task AMemberThatAnswersNonsenseDoesNotEndAnElection()
    {
        await using var fake = await FakePeer.StartAsync((_, answer, _) =>
        {
            answer.Byte(1);
            return ValueTask.CompletedTask;
        });
        await using var cluster = new TestCluster();
        foreach (int id in new[] { 1, 3 })
        {
            cluster.Add(id);
        }

        cluster.Found([.. cluster.Nodes.Select(n => n.Address), fake.Address]);
        await Task.WhenAll(cluster.Nodes.Select(n => n.StartAsync(TestCluster.Limit)));
        await cluster.PutAsync("k", "v");
        Assert.All(cluster.Nodes, n => Assert.False(n.Node.Failure.IsCompleted));
    }

    // Once this returns the node stands for election, and holds the engine's lock while it saves
    // its term, until what is returned is disposed.
    private static async Task<Release> HoldTermAsync(
        TestCluster cluster, SimulatedDisk disk, ScriptedPeer peer)
    {
        var hold = new Release(disk);
        disk.SyncReached.Reset();
        peer.Votes = true;
        await cluster.UntilAsync(() => disk.SyncReached.IsSet, "the node to stand");
        peer.Votes = false;
        return hold;
    }

    // Keeps the members unsettled until the gate opens: nobody else can be hosted meanwhile.
    private static async Task<Task<bool>> HostUntilAsync(
        TestNode node, TaskCompletionSource<bool> gate)
    {
        var entered = NewGate;
        var hosting = node.Node.Membership.VoteAsync(
            8,
            async () =>
            {
                entered.SetResult(true);
                return await gate.Task;
            },
            TestCluster.Limit).AsTask();
        await entered.Task.WaitAsync(TestCluster.Limit);
        return hosting;
    }

    // Lets the disk go on, also when the test fails.
    private sealed class Release : IDisposable
    {
        private readonly SimulatedDisk _disk;
        private readonly ManualResetEventSlim _gate = new();

        public Release(SimulatedDisk disk)
        {
            _disk = disk;
            disk.HoldSyncs = _gate;
        }

        // The gate itself is left to the collector: a sync may be about to wait for it.
        public void Dispose()
        {
            _disk.HoldSyncs = null;
            _gate.Set();
        }
    }
}
