// Hazard 43: what a node does that is not a member, or not any more, or not yet. Spoken to a real
// node over its port.
using System.Diagnostics;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class OutsiderGuardTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // A leader of an old configuration still takes it for a voter.
    [Fact]
    public async Task AnEmptiedMemberTakesNoEntriesAndGivesNoVote()
    {
        await using var cluster = await BlankNodeAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);

        await Assert.ThrowsAsync<PeerUnavailableException>(
            () => AppendAsync(leader, 3, 0, 0, LogFixture.Record(1, 3)));
        await NeverAsync(() => AskAsync(leader, MessageType.PreVote, 4));
        await NeverAsync(() => AskAsync(leader, MessageType.Vote, 4));
        var begin = new FrameWriter().Int64(3).Int64(100).Int64(3).Int64(1000);
        await Assert.ThrowsAsync<PeerUnavailableException>(
            () => leader.CallAsync(
                MessageType.SnapshotBegin, begin, Patience, TestCluster.Limit));

        Assert.Equal((0, 0), (cluster[1].Node.Status.LastIndex, cluster[1].Node.Status.Term));
    }

    // In the log's beginning it is a member: of an earlier life, of which it remembers nothing.
    [Fact]
    public async Task AJoinerThatIsBehindGivesNoVoteByAnOldConfiguration()
    {
        await using var cluster = await BlankNodeAsync();
        var self = cluster[1].Address;
        await using var leader = FakePeer.Call(self, 2);
        await using var other = FakePeer.Call(self, 3);
        Assert.True(await FakePeer.InviteAsync(leader, term: 4, lastIndex: 10));
        await AppendAsync(leader, 4, 0, 0, Configured(1, 1, self, 1, 2, 3));

        Assert.Equal(NodeRole.Passive, cluster[1].Node.Status.Role);
        await NeverAsync(() => AskAsync(other, MessageType.PreVote, 6));
        await NeverAsync(() => AskAsync(other, MessageType.Vote, 6));
        Assert.Equal(4, cluster[1].Node.Status.Term);
        Assert.Equal(0, cluster[1].Node.Status.ElectionsTriggered);
    }

    // The entry that makes it a member may be on the candidate alone.
    [Fact]
    public async Task AJoinerThatHasEverythingVotesThoughItKnowsNoConfigurationYet()
    {
        await using var cluster = await BlankNodeAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);
        Assert.True(await FakePeer.InviteAsync(leader, term: 4, lastIndex: 1));
        await AppendAsync(leader, 4, 0, 0, LogFixture.Record(1, 4));

        await cluster.UntilAsync(
            () => AskAsync(leader, MessageType.PreVote, 5), "a pre-vote once its faith has ended");
        long term = 4;
        await cluster.UntilAsync(
            () => AskAsync(leader, MessageType.Vote, ++term), "a vote");
    }

    [Fact]
    public async Task AConfigurationAfterTheInvitationMakesAVoter()
    {
        await using var cluster = await BlankNodeAsync();
        var self = cluster[1].Address;
        await using var leader = FakePeer.Call(self, 2);
        Assert.True(await FakePeer.InviteAsync(leader, term: 4, lastIndex: 1));
        await AppendAsync(leader, 4, 0, 0, LogFixture.Record(1, 4));
        await AppendAsync(leader, 4, 1, 4, Configured(2, 4, self, 1, 2));

        Assert.Equal(NodeRole.Follower, cluster[1].Node.Status.Role);
    }

    [Fact]
    public async Task ARemovalThatIsNewsIsBelievedAndKept()
    {
        await using var cluster = await MemberAtIndexTwoAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);
        await using var other = FakePeer.Call(cluster[1].Address, 3);

        await TellRemovedAsync(leader, 7);

        await JudgeRemovedAsync();
        await cluster[1].StopAsync();
        await cluster[1].StartAsync(TestCluster.Limit);
        await JudgeRemovedAsync();
        Assert.True(await FakePeer.InviteAsync(leader, term: 5, lastIndex: 8), "It may come back.");
        Assert.Equal(0, cluster[1].Node.Status.RemovedIndex);
        await AppendAsync(leader, 5, 0, 0);

        async Task JudgeRemovedAsync()
        {
            var status = cluster[1].Node.Status;
            Assert.Equal(
                (NodeRole.Passive, 7, 0), (status.Role, status.RemovedIndex, status.LeaderId));
            Assert.DoesNotContain(
                1, cluster[1].Node.GetMembers().Select(m => m.Address.NodeId));
            await NeverAsync(() => AskAsync(other, MessageType.Vote, 9));
            await Assert.ThrowsAsync<PeerUnavailableException>(
                () => AppendAsync(leader, 4, 0, 0));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task ARemovalFromBeforeItWasAddedIsNotBelieved(long index)
    {
        await using var cluster = await MemberAtIndexTwoAsync();
        await using var late = FakePeer.Call(cluster[1].Address, 3);

        await TellRemovedAsync(late, index);

        Assert.Equal(0, cluster[1].Node.Status.RemovedIndex);
        Assert.Equal(NodeRole.Follower, cluster[1].Node.Status.Role);
    }

    // It is sent only once it is committed.
    [Fact]
    public async Task ARemovalInTheLogIsTakenAndKept()
    {
        await using var cluster = await MemberAtIndexTwoAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);

        await AppendAsync(leader, 4, 2, 4, Configured(3, 4, cluster[1].Address, 2, 3));

        Assert.Equal(3, cluster[1].Node.Status.RemovedIndex);
        await cluster[1].StopAsync();
        await cluster[1].StartAsync(TestCluster.Limit);
        Assert.Equal(3, cluster[1].Node.Status.RemovedIndex);
    }

    [Fact]
    public async Task AnInvitationThatWasHeldUpDoesNotUndoARemoval()
    {
        await using var cluster = await MemberAtIndexTwoAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);
        await TellRemovedAsync(leader, 7);

        Assert.False(await FakePeer.InviteAsync(leader, term: 4, lastIndex: 1));

        Assert.Equal(7, cluster[1].Node.Status.RemovedIndex);
    }

    // By the configuration of its founding it is the only voter there is.
    [Fact]
    public async Task AFounderThatWasRemovedDoesNotLeadAgain()
    {
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        await node.StartAsync(TestCluster.Limit);
        await node.Node.FoundAsync(TestCluster.Limit);
        await using var other = FakePeer.Call(
            node.Address, 2, foundingId: node.Node.FoundingId);
        await TellRemovedAsync(other, 100);
        await cluster.UntilAsync(
            () => node.Node.Status.Role != NodeRole.Leader, "its leadership to end");
        long term = node.Node.Status.Term;

        await node.StopAsync();
        await node.StartAsync(TestCluster.Limit);

        Assert.Equal(term, node.Node.Status.Term);
        Assert.NotEqual(NodeRole.Leader, node.Node.Status.Role);
        Assert.Equal(100, node.Node.Status.RemovedIndex);
    }

    [Fact]
    public async Task ARemovedNodeDoesNotGoOnAlone()
    {
        await using var cluster = await MemberAtIndexTwoAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);
        await TellRemovedAsync(leader, 7);

        // Who led it speaks against it, too, while that is known.
        await cluster.UntilAsync(
            () => cluster[1].Node.Status.LeaderId == 0, "the leader to be missed");
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.RecoverAloneAsync(TestCluster.Limit));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains("this node is not a member", error.Message, StringComparison.Ordinal);
        Assert.Equal(7, cluster[1].Node.Status.RemovedIndex);
    }

    // An invitation that came to nothing is of another cluster.
    [Fact]
    public async Task ANodeThatWasInvitedCanFoundACluster()
    {
        await using var cluster = await BlankNodeAsync();
        await using (var leader = FakePeer.Call(cluster[1].Address, 2))
        {
            Assert.True(await FakePeer.InviteAsync(leader, term: 4, lastIndex: 1000));
        }

        await cluster[1].Node.FoundAsync(TestCluster.Limit);
        await cluster[1].StopAsync();
        await cluster[1].StartAsync(TestCluster.Limit);

        await cluster.LeaderAsync();
        await cluster[1].PutAsync("it", "leads", TestCluster.Limit);
    }

    [Fact]
    public async Task ADamagedNoticeIsRefusedByName()
    {
        await using var cluster = await MemberAtIndexTwoAsync();
        await cluster[1].StopAsync();
        string path = Path.Combine(cluster[1].DataDirectory, "membership");
        byte[] content = await File.ReadAllBytesAsync(path, TestCluster.Limit);
        content[9] ^= 1;
        await File.WriteAllBytesAsync(path, content, TestCluster.Limit);

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].StartAsync(TestCluster.Limit));

        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARefusedPreVoteTeachesARemoval()
    {
        await using var peer = await FakePeer.StartAsync((_, answer, _) =>
        {
            answer.Int64(4).Byte((byte)PreVoteResult.RejectedByFollower).Int64(17);
            return ValueTask.CompletedTask;
        });
        await using var fixture = new LogFixture();
        using var member = new Engine.RemoteMember(peer.Address, peer.Dial(), fixture);

        await member.PreVoteAsync(4, 0, 0, TestCluster.Limit);

        Assert.Equal([(17L, peer.Address.NodeId)], fixture.Removals);
    }

    private static async Task<TestCluster> BlankNodeAsync()
    {
        var cluster = new TestCluster();
        await cluster.Add(1).StartAsync(TestCluster.Limit);
        return cluster;
    }

    /// <summary>A follower of node 2 that was added by entry 2 of term 4.</summary>
    private static async Task<TestCluster> MemberAtIndexTwoAsync()
    {
        var cluster = await BlankNodeAsync();
        var self = cluster[1].Address;
        await using var leader = FakePeer.Call(self, 2);
        Assert.True(await FakePeer.InviteAsync(leader, term: 4, lastIndex: 1));
        await AppendAsync(leader, 4, 0, 0, LogFixture.Record(1, 4));
        await AppendAsync(leader, 4, 1, 4, Configured(2, 4, self, 1, 2, 3));
        return cluster;
    }

    private static LogRecord Configured(
        long index, long term, MemberAddress self, params int[] members) => new(
        index, term, EntryKind.Configuration,
        Configuration.Found(
            FakePeer.Founding, members.Select(
                id => id == self.NodeId ? self : self with { NodeId = id, Port = id }))
            .Bytes);

    // Until any voter would have ceased to keep faith with its leader.
    private static async Task NeverAsync(Func<Task<bool>> ask)
    {
        for (var clock = Stopwatch.StartNew();
            clock.ElapsedMilliseconds < TestCluster.ElectionTimeoutMs * 3 / 2;)
        {
            Assert.False(await ask());
        }
    }

    private static async Task<bool> AskAsync(PeerChannel voter, MessageType type, long term)
    {
        var request = new FrameWriter().Int64(term).Int64(1000).Int64(term);
        var answer = new BodyReader(
            await voter.CallAsync(type, request, Patience, TestCluster.Limit));
        answer.Int64();
        return answer.Byte() == 1;
    }

    private static async Task TellRemovedAsync(PeerChannel node, long index) =>
        await node.CallAsync(
            MessageType.Removed, new FrameWriter().Int64(index), Patience, TestCluster.Limit);

    private static async Task AppendAsync(
        PeerChannel channel, long term, long previousIndex, long previousTerm,
        params LogRecord[] records)
    {
        var request = new FrameWriter()
            .Int64(term).Int64(previousIndex).Int64(previousTerm).Int64(0).Int32(records.Length);
        foreach (var record in records)
        {
            request.Int64(record.Term).Byte((byte)record.Kind).Bytes(record.Payload.Span);
        }

        var body = new BodyReader(await channel.CallAsync(
            MessageType.Append, request, Patience, TestCluster.Limit));
        Assert.True(body.Int64() <= term);
        Assert.NotEqual(HeartbeatResult.Rejected, (HeartbeatResult)body.Byte());
    }
}
