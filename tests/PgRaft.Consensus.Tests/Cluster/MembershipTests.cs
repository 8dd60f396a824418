// Members come, go, come back and move, in one process over real TCP.
//
// Threading: one cluster a test. Failure: the deadline of a wait, with every node's state.
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Cluster;

public sealed class MembershipTests
{
    private const int Removed = 123;
    private const int Moved = 124;
    private const int NotTold = 127;

    [Fact]
    public async Task OneChangeAtATimeAndACancelledOneLeavesNothingBehind()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        var leader = cluster[1];
        var nowhere = leader.Address with { NodeId = 2, Port = TestNode.FreePort() };
        using var cancel = new CancellationTokenSource();
        var adding = leader.Node.AddMemberAsync(nowhere, null, cancel.Token);
        await cluster.UntilAsync(
            () => leader.Node.GetReplication().Any(r => r.NodeId == 2), "a row for the joiner");

        var third = cluster.Add(3);
        await third.StartAsync(TestCluster.Limit);
        foreach (var second in new Func<Task>[]
        {
            () => leader.Node.AddMemberAsync(third.Address, null, TestCluster.Limit),
            () => leader.Node.AddMemberAsync(nowhere, null, TestCluster.Limit),
            () => leader.Node.UpdateMemberAsync(leader.Address, TestCluster.Limit),
        })
        {
            var refused = await Assert.ThrowsAsync<PgraftException>(second);
            Assert.Equal(StatusCode.WrongState, refused.Code);
            Assert.Equal("This leader is adding node 2.", refused.Detail);
        }

        await cancel.CancelAsync();
        var error = await Assert.ThrowsAsync<PgraftException>(() => adding);
        Assert.Equal(StatusCode.NotDone, error.Code);
        Assert.Empty(leader.Node.GetReplication());
        await leader.Node.AddMemberAsync(third.Address, null, TestCluster.Limit);
        Assert.Equal([1, 3], leader.Node.GetMembers().Select(m => m.Address.NodeId));
    }

    [Fact]
    public async Task AnAdditionThatIsCutOffInTheMiddleCanBeDoneAnew()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await FillAsync(cluster[1], 500);
        cluster.Runtime = cluster.Runtime with { BatchSizeEntries = 1 };
        cluster[1].Node.Reload(cluster.Runtime);
        var joiner = cluster.Add(2);
        await joiner.StartAsync(TestCluster.Limit);
        using var cancel = new CancellationTokenSource();
        var progress = new Recorder(p =>
        {
            if (p.MatchIndex > 50)
            {
                cancel.Cancel();
            }
        });

        await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.AddMemberAsync(joiner.Address, progress, cancel.Token));
        Assert.InRange(joiner.Node.Status.LastIndex, 50, 499);
        Assert.NotEqual(NodeRole.Follower, joiner.Node.Status.Role);
        Assert.Empty(cluster[1].Node.GetReplication());

        await cluster[1].Node.AddMemberAsync(joiner.Address, null, TestCluster.Limit);
        await cluster.AgreeAsync();
    }

    [Fact]
    public async Task ProgressIsReportedAndShown()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await FillAsync(cluster[1], 300);
        cluster.Runtime = cluster.Runtime with { BatchSizeEntries = 10 };
        cluster[1].Node.Reload(cluster.Runtime);
        var joiner = cluster.Add(2);
        await joiner.StartAsync(TestCluster.Limit);
        var rows = new List<FollowerProgress>();
        var progress = new Recorder(_ => rows.AddRange(cluster[1].Node.GetReplication()));

        await cluster[1].Node.AddMemberAsync(joiner.Address, progress, TestCluster.Limit);

        var reports = progress.Reports.ToArray();
        Assert.True(reports.Length > 20, $"{reports.Length} reports");
        Assert.Equal(reports.Select(r => r.MatchIndex).Order(), reports.Select(r => r.MatchIndex));
        Assert.All(reports, r => Assert.InRange(r.MatchIndex, 0, r.LastIndex));
        Assert.Contains(reports, r => r.Stage == JoinStage.CatchingUp && r.MatchIndex > 0);
        var shown = rows.Where(r => r.State == "catching up").ToArray();
        Assert.True(shown.Length > 10, $"{shown.Length} rows");
        Assert.All(shown, r => Assert.Equal((2, true), (r.NodeId, r.Lag >= 0)));
        Assert.Equal(
            "replicate", Assert.Single(cluster[1].Node.GetReplication()).State);
    }

    [Fact]
    public async Task ASnapshotForAJoinerIsReportedInBytes()
    {
        await using var cluster = await TestCluster.FoundAsync(
            1, new TestCluster().Runtime with { SnapshotIntervalEntries = 100, MaxLogEntries = 0 });
        await FillAsync(cluster[1], 5000, valueBytes: 6000);
        await cluster.UntilAsync(
            () => cluster[1].Node.Status.FirstIndex > 1, "the log to be compacted");
        var joiner = cluster.Add(2);
        await joiner.StartAsync(TestCluster.Limit);
        var progress = new Recorder(_ => { });

        await cluster[1].Node.AddMemberAsync(joiner.Address, progress, TestCluster.Limit);

        var sent = progress.Reports.Where(r => r.Stage == JoinStage.Snapshot).ToArray();
        Assert.NotEmpty(sent);
        Assert.All(sent, r => Assert.InRange(r.SnapshotSentBytes, 0, r.SnapshotBytes));
        Assert.Equal(sent[^1].SnapshotBytes, sent[^1].SnapshotSentBytes);
        await cluster.AgreeAsync();
    }

    [Fact]
    public async Task ARemovedMemberIsToldAndKeepsQuiet()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var removed = followers[0];

        await leader.Node.RemoveMemberAsync(removed.Address.NodeId, TestCluster.Limit);

        var status = removed.Node.Status;
        Assert.True(status.RemovedIndex > 0, $"{status}");
        Assert.Equal((NodeRole.Passive, 0), (status.Role, status.LeaderId));
        Assert.Equal(0, status.LeaseDeadlineNs);
        Assert.Contains("was removed from the cluster", LogOf(cluster), StringComparison.Ordinal);
        Assert.Equal(
            [$"node {removed.Address.NodeId} removed: 2 members"], cluster.Said(Removed));
        Assert.Empty(cluster.Said(NotTold));
        await followers[1].StopAsync();
        await removed.StopAsync();
        await removed.StartAsync(TestCluster.Limit);
        Assert.Equal(status.RemovedIndex, removed.Node.Status.RemovedIndex);
    }

    [Fact]
    public async Task AMemberThatWasDownWhenItWasRemovedLearnsItWhenItAsks()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var removed = followers[0];
        await removed.StopAsync();
        await leader.Node.RemoveMemberAsync(removed.Address.NodeId, TestCluster.Limit);
        long term = leader.Node.Status.Term;
        Assert.Equal(
            [
                $"node {removed.Address.NodeId} could not be told that it was removed; it will "
                + "learn it when it asks",
            ],
            cluster.Said(NotTold));

        await removed.StartAsync(TestCluster.Limit);
        await cluster.UntilAsync(
            () => removed.Node.Status.RemovedIndex > 0, "the removed one to learn it");

        Assert.Equal(0, removed.Node.Status.ElectionsTriggered);
        Assert.Equal((term, NodeRole.Leader), (leader.Node.Status.Term, leader.Node.Status.Role));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ARemovedNodeComesBackUnderItsIdWithOrWithoutItsData(bool emptied)
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var back = followers[0];
        var present = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.AddMemberAsync(back.Address, null, TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, present.Code);
        Assert.Contains("pgraft_remove_node(", present.Hint, StringComparison.Ordinal);
        await leader.Node.RemoveMemberAsync(back.Address.NodeId, TestCluster.Limit);
        await cluster.PutAsync("while", "it was away");
        if (emptied)
        {
            await back.StopAsync();
            back.Wipe();
            cluster.Found([]);
            await back.StartAsync(TestCluster.Limit);
            Assert.Equal(NodeRole.Waiting, back.Node.Status.Role);
        }

        await leader.Node.AddMemberAsync(back.Address, null, TestCluster.Limit);

        await cluster.UntilAsync(
            () => back.Node.Status.Role == NodeRole.Follower, "it to be a follower");
        Assert.Equal(0, back.Node.Status.RemovedIndex);
        await cluster.AgreeAsync();
        Assert.Equal("it was away", back.Get("while"));
        await followers[1].StopAsync();
        await cluster.PutAsync("with", "its vote");
    }

    [Fact]
    public async Task ANodeThatHasSeenALaterTermIsRefusedUntilItIsEmptied()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var back = followers[0];
        await leader.Node.RemoveMemberAsync(back.Address.NodeId, TestCluster.Limit);
        await back.StopAsync();
        long term = leader.Node.Status.Term;
        TermStore.Open(back.DataDirectory).Save(term + 10, 0);
        await back.StartAsync(TestCluster.Limit);

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.AddMemberAsync(back.Address, null, TestCluster.Limit));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains($"term {term + 10}", error.Detail, StringComparison.Ordinal);
        Assert.Equal((term, NodeRole.Leader), (leader.Node.Status.Term, leader.Node.Status.Role));
        await back.StopAsync();
        back.Wipe();
        cluster.Found([]);
        await back.StartAsync(TestCluster.Limit);
        await leader.Node.AddMemberAsync(back.Address, null, TestCluster.Limit);
        await cluster.AgreeAsync();
    }

    // Nothing it acknowledges may count: it no longer has what it had.
    [Fact]
    public async Task AMemberWhoseDataWasEmptiedIsNoVoterUntilItIsAddedAgain()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var emptied = followers[0];
        await emptied.StopAsync();
        emptied.Wipe();
        cluster.Found([]);
        await emptied.StartAsync(TestCluster.Limit);
        await followers[1].StopAsync();

        await cluster.UntilAsync(
            () => leader.Node.Status.Role != NodeRole.Leader, "the majority to be missed");
        Assert.Equal(0, emptied.Node.Status.LastIndex);

        await followers[1].StartAsync(TestCluster.Limit);
        leader = await cluster.LeaderAsync();
        await leader.Node.RemoveMemberAsync(emptied.Address.NodeId, TestCluster.Limit);
        await leader.Node.AddMemberAsync(emptied.Address, null, TestCluster.Limit);
        await cluster.AgreeAsync();
    }

    [Fact]
    public async Task ALeaderThatHasLostItsMajorityChangesNothing()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var joiner = cluster.Add(4);
        await joiner.StartAsync(TestCluster.Limit);
        await Task.WhenAll(followers.Select(f => f.StopAsync()));
        long last = leader.Node.Status.LastIndex;
        var down = followers[0].Address;

        foreach (var change in new Func<Task>[]
        {
            () => leader.Node.AddMemberAsync(joiner.Address, null, TestCluster.Limit),
            () => leader.Node.RemoveMemberAsync(down.NodeId, TestCluster.Limit),
            () => leader.Node.UpdateMemberAsync(down with { Port = 1 }, TestCluster.Limit),
        })
        {
            var error = await Assert.ThrowsAsync<PgraftException>(change);
            Assert.Contains(error.Code, (StatusCode[])[StatusCode.NotLeader, StatusCode.TimedOut]);
        }

        Assert.Equal(last, leader.Node.Status.LastIndex);
        Assert.Equal(0, joiner.Node.Status.LastIndex);
        await Task.WhenAll(followers.Select(f => f.StartAsync(TestCluster.Limit)));
        leader = await cluster.LeaderAsync();
        await leader.Node.AddMemberAsync(joiner.Address, null, TestCluster.Limit);
        Assert.Equal(4, leader.Node.GetMembers().Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AFollowerMovesBeforeOrAfterTheClusterIsTold(bool toldFirst)
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var mover = followers[0];
        await mover.StopAsync();
        mover.Move();
        if (toldFirst)
        {
            await leader.Node.UpdateMemberAsync(mover.Address, TestCluster.Limit);
            await mover.StartAsync(TestCluster.Limit);
        }
        else
        {
            await mover.StartAsync(TestCluster.Limit);
            Assert.Contains(
                $"SELECT pgraft_update_node({mover.Address.NodeId}, '127.0.0.1', "
                + $"{mover.Address.Port})",
                LogOf(cluster), StringComparison.Ordinal);
            await leader.Node.UpdateMemberAsync(mover.Address, TestCluster.Limit);
        }

        Assert.Equal(
            [
                $"node {mover.Address.NodeId} is at 127.0.0.1:{mover.Address.Port} from now on",
            ],
            cluster.Said(Moved));
        await cluster.PutAsync("after", "the move");
        await cluster.AgreeAsync();
        Assert.All(
            cluster.Nodes,
            n => Assert.Contains(mover.Address, n.Node.GetMembers().Select(m => m.Address)));

        // It can be elected, and the others find it.
        await followers[1].StopAsync();
        await cluster.PutAsync("with", "its vote");
        await followers[1].StartAsync(TestCluster.Limit);
        await cluster.AgreeAsync();
    }

    [Fact]
    public async Task ALeaderMoves()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        long term = leader.Node.Status.Term;
        var old = leader.Address;
        leader.Move();

        await leader.Node.UpdateMemberAsync(leader.Address, TestCluster.Limit);
        await leader.PutAsync("while", "it leads on", TestCluster.Limit);
        Assert.Equal((term, NodeRole.Leader), (leader.Node.Status.Term, leader.Node.Status.Role));

        await leader.StopAsync();
        await leader.StartAsync(TestCluster.Limit);
        Assert.NotEqual(old, leader.Address);
        await cluster.PutAsync("after", "the move");
        await cluster.AgreeAsync();
    }

    // The other one cannot reach it, but it can reach the other one.
    [Fact]
    public async Task OneOfTwoMovesFirstAndTellsTheClusterItself()
    {
        await using var cluster = await TestCluster.FoundAsync(2);
        var (leader, followers) = await cluster.RolesAsync();
        await cluster.AgreeAsync();
        var mover = followers[0];
        await mover.StopAsync();
        mover.Move();
        await mover.StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync(otherThan: leader);

        await mover.Node.UpdateMemberAsync(mover.Address, TestCluster.Limit);

        await mover.PutAsync("after", "the move", TestCluster.Limit);
        await cluster.AgreeAsync();
    }

    [Fact]
    public async Task AnAddressThatWorksAtOnceCostsNoLease()
    {
        await using var cluster = await TestCluster.FoundAsync(2);
        var (leader, followers) = await cluster.RolesAsync();
        using var done = new CancellationTokenSource();
        var watching = Task.Run(() =>
        {
            int looks = 0;
            for (; !done.IsCancellationRequested; looks++)
            {
                Assert.NotEqual(0, leader.Node.Status.LeaseDeadlineNs);
            }

            return looks;
        });

        for (int i = 0; i < 10; i++)
        {
            string host = i % 2 == 0 ? "localhost" : "127.0.0.1";
            await leader.Node.UpdateMemberAsync(
                followers[0].Address with { Host = host }, TestCluster.Limit);
        }

        await done.CancelAsync();
        Assert.True(await watching > 10);
    }

    [Fact]
    public async Task AChangeIsRefusedWhileTheLastOneIsNotCommitted()
    {
        await using var network = new FaultyNetwork();
        await using var cluster = new TestCluster { Network = network, ElectionTimeout = 3000 };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        foreach (var follower in followers)
        {
            network.Delay(
                leader.Address.NodeId, follower.Address.NodeId, TimeSpan.FromMilliseconds(400));
        }

        long last = leader.Node.Status.LastIndex;
        using var cancel = new CancellationTokenSource();
        var first = leader.Node.UpdateMemberAsync(
            leader.Address with { Port = 1 }, cancel.Token);
        await cluster.UntilAsync(
            () => leader.Node.Status.LastIndex > last, "the change to be sent");
        await cancel.CancelAsync();
        var unknown = await Assert.ThrowsAsync<PgraftException>(() => first);
        Assert.Equal(StatusCode.OutcomeUnknown, unknown.Code);

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.RemoveMemberAsync(followers[0].Address.NodeId, TestCluster.Limit));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains("not been committed yet", error.Detail, StringComparison.Ordinal);
        network.Heal();
        await cluster.UntilAsync(
            () => leader.Node.GetMembers().Any(m => m.Address.Port == 1), "its commit");
        await leader.Node.UpdateMemberAsync(leader.Address, TestCluster.Limit);
    }

    [Fact]
    public async Task AnAddressOfAnotherNodeIsRefused()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var stranger = cluster.Add(7);
        await stranger.StartAsync(TestCluster.Limit);
        var wrong = followers[0].Address with { Port = stranger.Address.Port };

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.UpdateMemberAsync(wrong, TestCluster.Limit));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains("this address is node 7's", error.Detail, StringComparison.Ordinal);
        var adding = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.AddMemberAsync(
                stranger.Address with { NodeId = 8 }, null, TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, adding.Code);
        Assert.Contains("this address is node 7's", adding.Detail, StringComparison.Ordinal);
        Assert.Equal(
            followers[0].Address,
            leader.Node.GetMembers()
                .Single(m => m.Address.NodeId == followers[0].Address.NodeId).Address);
    }

    private static string LogOf(TestCluster cluster) =>
        ((LoggerFactoryForTests)cluster.Loggers).Text;

    private static async Task FillAsync(TestNode node, int entries, int valueBytes = 10)
    {
        string value = new('x', valueBytes);
        for (int i = 0; i < entries; i += 50)
        {
            await Task.WhenAll(Enumerable.Range(i, 50).Select(
                k => node.PutAsync($"k{k % 300}", value, TestCluster.Limit).AsTask()));
        }
    }

    /// <summary>Remembers reports, and does something at each.</summary>
    private sealed class Recorder(Action<JoinProgress> onReport) : IProgress<JoinProgress>
    {
        private readonly Lock _gate = new();

        public List<JoinProgress> Reports { get; } = [];

        public void Report(JoinProgress value)
        {
            lock (_gate)
            {
                Reports.Add(value);
                onReport(value);
            }
        }
    }
}
