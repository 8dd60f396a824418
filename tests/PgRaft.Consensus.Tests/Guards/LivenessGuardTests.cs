// Clusters that would have stopped for good, although a majority was up and connected.
//
// Threading: one cluster a test. Failure: the deadline of a wait, with every node's state.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class LivenessGuardTests
{
    [Fact]
    public async Task TheSecondOfTwoVotersCanBeRemovedUnderLoad()
    {
        await using var cluster = new TestCluster();
        var (one, two) = await TwoVotersAsync(cluster);
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 8).Select(i => WriteUntilAsync(one, $"k{i}", stop.Token));
        var writers = load.ToArray();
        await cluster.UntilAsync(() => one.Node.Status.AppliedIndex > 200, "some load");

        await one.Node.RemoveMemberAsync(two.Address.NodeId, TestCluster.Limit);

        await stop.CancelAsync();
        await Task.WhenAll(writers);
        await one.PutAsync("after", "the removal", TestCluster.Limit);
        Assert.Equal("the removal", one.Get("after"));
    }

    // At once, when nobody has missed the one that is down yet.
    [Fact]
    public async Task ARemovalThatWouldLeaveNoMajorityIsRefused()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var (down, up) = (followers[0].Address.NodeId, followers[1].Address.NodeId);
        await followers[0].StopAsync();

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.RemoveMemberAsync(up, TestCluster.Limit));

        Assert.Equal(StatusCode.WrongState, error.Code);
        await leader.PutAsync("after", "the refusal", TestCluster.Limit);
        await leader.Node.RemoveMemberAsync(down, TestCluster.Limit);
        await leader.PutAsync("after", "the removal", TestCluster.Limit);
        Assert.Equal(2, leader.Node.GetMembers().Count);
    }

    // Whoever takes over would refuse it, and leadership have moved for nothing.
    [Fact]
    public async Task ALeaderDoesNotStepAsideForARemovalThatWouldLeaveNoMajority()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        int down = followers[0].Address.NodeId;
        await followers[0].StopAsync();
        long term = leader.Node.Status.Term;

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.YieldLeadershipAsync(TestCluster.Limit));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains("without a majority", error.Message, StringComparison.Ordinal);
        Assert.Equal(NodeRole.Leader, leader.Node.Status.Role);
        Assert.Equal(term, leader.Node.Status.Term);
        await leader.PutAsync("after", "the refusal", TestCluster.Limit);
    }

    // The candidate is a member by an entry that this voter does not have yet.
    [Fact]
    public async Task ACandidateThatTheVoterDoesNotKnowYetGetsItsVote()
    {
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        cluster.Found([node.Address, node.Address with { NodeId = 2, Port = TestNode.FreePort() }]);
        await node.StartAsync(TestCluster.Limit);
        await using var leader = node.CallAs(2);
        await using var stranger = node.CallAs(9);
        await AppendAsync(leader, 1, 0, 0, 0, 1);

        Assert.False(await AskAsync(stranger, MessageType.Vote, 5), "A leader was just heard.");
        await cluster.UntilAsync(
            () => AskAsync(stranger, MessageType.PreVote, 6), "the voter's faith to end");
        long term = 6;
        await cluster.UntilAsync(
            () => AskAsync(stranger, MessageType.Vote, ++term), "a vote of a newer term");

        Assert.Equal([1, 2], node.Node.GetMembers().Select(m => m.Address.NodeId));
        Assert.True(await AppendAsync(stranger, term, 0, 0, 0, term), "Its append is accepted.");
    }

    [Fact]
    public async Task LeadershipGivenUpByACallThatIsCancelledIsTakenByAnother()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var leader = await cluster.LeaderAsync();

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.YieldLeadershipAsync(new CancellationToken(canceled: true)));

        Assert.Equal(StatusCode.TimedOut, error.Code);
        var next = await cluster.LeaderAsync(otherThan: leader);
        await next.PutAsync("after", "the yield", TestCluster.Limit);
        await cluster.UntilAsync(
            () => leader.Node.Status.Role == NodeRole.Follower, "the old leader to follow");
    }

    // Elected with an entry that never left, then overtaken by a leader with a shorter log: the
    // engine's wait for that entry to be applied must not hide the next election.
    [Fact]
    public async Task ALeaderWhoseFirstEntryWasReplacedLeadsAgainLater()
    {
        var peer = new ScriptedPeer();
        await using var fake = await FakePeer.StartAsync(peer.Answer);
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        cluster.Found([node.Address, fake.Address]);
        await node.StartAsync(TestCluster.Limit);
        await using var call = node.CallAs(2);
        await AppendAsync(call, 1, 0, 0, 0, 1, 1, 1);
        peer.Votes = true;
        await cluster.UntilAsync(() => node.Node.Status.LastIndex >= 4, "an election won");
        peer.Votes = false;
        await cluster.UntilAsync(
            () => node.Node.Status.Role != NodeRole.Leader && peer.Refused > 0, "leadership lost");

        long term = 0;
        await cluster.UntilAsync(
            async () =>
            {
                term = node.Node.Status.Term + 1;
                return await AppendAsync(call, term, 0, 0, 1, term);
            },
            "another leader with a shorter log");
        await AppendAsync(call, term, 1, term, 1);
        peer.Votes = true;
        peer.Appends = true;

        await cluster.LeaderAsync();
        await node.PutAsync("k", "v", TestCluster.Limit);
        Assert.Equal("v", node.Get("k"));
    }

    // One follower catches up slowly while the other misses a round: the rounds must go on.
    [Fact]
    public async Task ASlowCatchUpDoesNotHoldUpTheOthers()
    {
        await using var network = new FaultyNetwork();
        var runtime = new TestCluster().Runtime with
        {
            MaxLogEntries = 100_000,
            SnapshotIntervalEntries = 1_000_000,
            BatchSizeEntries = 1,
        };
        await using var cluster = new TestCluster { Network = network, Runtime = runtime };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        var (slow, other) = (followers[0], followers[1]);
        await slow.StopAsync();
        for (int i = 0; i < 20; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 50).Select(
                k => leader.PutAsync($"k{k}", "v", TestCluster.Limit).AsTask()));
        }

        // 1,000 entries, one a round trip of 20 ms: 20 s without an end to the round.
        int from = leader.Address.NodeId;
        network.Delay(from, slow.Address.NodeId, TimeSpan.FromMilliseconds(20));
        await slow.StartAsync(TestCluster.Limit);
        await cluster.UntilAsync(() => slow.Node.Status.LastIndex > 0, "the catch-up to begin");
        network.Cut(from, other.Address.NodeId);
        network.Cut(other.Address.NodeId, from);
        await cluster.UntilAsync(
            () => leader.Node.Status.LeaseDeadlineNs == 0
                || leader.Node.Status.Role != NodeRole.Leader
                || !leader.Node.GetReplication().Single(
                    f => f.NodeId == other.Address.NodeId).IsActive,
            "the other to be missed");
        network.Heal();
        network.Delay(from, slow.Address.NodeId, TimeSpan.FromMilliseconds(20));

        var clock = System.Diagnostics.Stopwatch.StartNew();
        await cluster.UntilAsync(
            async () => await WriteAsync(await cluster.LeaderAsync(), "after"), "a write");
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(8));
        Assert.True(slow.Node.Status.LastIndex < 900, "The catch-up was over before the write.");
    }

    private static async Task<(TestNode One, TestNode Two)> TwoVotersAsync(TestCluster cluster)
    {
        var one = cluster.Add(1);
        await one.StartAsync(TestCluster.Limit);
        await one.Node.FoundAsync(TestCluster.Limit);
        var two = cluster.Add(2);
        await two.StartAsync(TestCluster.Limit);
        await one.Node.AddMemberAsync(two.Address, TestCluster.Limit);
        return (one, two);
    }

    private static async Task WriteUntilAsync(TestNode node, string key, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await WriteAsync(node, key);
        }
    }

    private static async Task<bool> WriteAsync(TestNode node, string key)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
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

    /// <summary>Whether a candidate with a long log gets the vote.</summary>
    private static async Task<bool> AskAsync(PeerChannel voter, MessageType type, long term)
    {
        var request = new FrameWriter().Int64(term).Int64(1000).Int64(term);
        var answer = new BodyReader(
            await voter.CallAsync(type, request, TimeSpan.FromSeconds(5), TestCluster.Limit));
        answer.Int64();
        return answer.Byte() == 1;
    }

    /// <summary>Whether the node accepted it.</summary>
    private static async Task<bool> AppendAsync(
        PeerChannel to, long term, long previousIndex, long previousTerm, long commitIndex,
        params long[] terms)
    {
        var request = new FrameWriter()
            .Int64(term).Int64(previousIndex).Int64(previousTerm).Int64(commitIndex)
            .Int32(terms.Length);
        foreach (long entryTerm in terms)
        {
            request.Int64(entryTerm).Byte((byte)EntryKind.Empty).Bytes([]);
        }

        var answer = new BodyReader(
            await to.CallAsync(
                MessageType.Append, request, TimeSpan.FromSeconds(5), TestCluster.Limit));
        return answer.Int64() <= term && answer.Byte() != (byte)HeartbeatResult.Rejected;
    }
}
