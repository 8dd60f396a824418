// Hazards 8, 12 and 17: what a node refuses, and when a configuration takes effect. Spoken to a
// real node over its port.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class RequestGuardTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task PeersOfAnotherClusterAreRefused()
    {
        await using var cluster = await WaitingNodeAsync();
        await using var channel = FakePeer.Call(cluster[1].Address, 2, clusterId: "another");
        var error = await Assert.ThrowsAsync<PeerUnavailableException>(() => VoteAsync(channel, 5));
        Assert.Contains("belongs to cluster \"another\"", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PeersOfAnotherFoundingAreRefused()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await using var channel = FakePeer.Call(cluster[1].Address, 2, foundingId: 77);
        var error = await Assert.ThrowsAsync<PeerUnavailableException>(() => VoteAsync(channel, 5));
        Assert.Contains("founded as separate clusters", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ADuplicateNodeIdIsRefused()
    {
        await using var cluster = await WaitingNodeAsync();
        await using var channel = FakePeer.Call(cluster[1].Address, 1);
        var error = await Assert.ThrowsAsync<PeerUnavailableException>(() => VoteAsync(channel, 5));
        Assert.Contains("also has node_id 1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AStrangerGetsNoVoteAndDoesNotRaiseTheTerm()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (_, followers) = await cluster.RolesAsync();
        long term = followers[0].Node.Status.Term;
        await using var channel = followers[0].CallAs(9);
        var (_, granted) = await VoteAsync(channel, term + 100);
        Assert.False(granted);
        Assert.Equal(term, followers[0].Node.Status.Term);
    }

    // Whoever knows the cluster's name can connect; the founding is what only members know.
    [Theory]
    [InlineData(MessageType.Vote)]
    [InlineData(MessageType.PreVote)]
    [InlineData(MessageType.Append)]
    [InlineData(MessageType.SnapshotBegin)]
    [InlineData(MessageType.SnapshotChunk)]
    [InlineData(MessageType.SnapshotEnd)]
    [InlineData(MessageType.ReadIndex)]
    [InlineData(MessageType.Forward)]
    public async Task WhoBelongsToNoFoundingIsRefused(object type)
    {
        await using var founded = await TestCluster.FoundAsync(1);
        await RefusedWithoutFoundingAsync(founded[1], (MessageType)type);

        // Nor are two of them a cluster.
        await using var waiting = await WaitingNodeAsync();
        await RefusedWithoutFoundingAsync(waiting[1], (MessageType)type);
    }

    [Fact]
    public async Task WhoConnectedBeforeTheFoundingIsRefusedAfterIt()
    {
        await using var cluster = await WaitingNodeAsync();
        await using var channel = FakePeer.Call(cluster[1].Address, 2);
        await VoteAsync(channel, 1);
        await cluster[1].Node.FoundAsync(TestCluster.Limit);
        long term = cluster[1].Node.Status.Term;
        await Assert.ThrowsAsync<PeerUnavailableException>(() => VoteAsync(channel, term + 100));
        Assert.Equal(term, cluster[1].Node.Status.Term);
    }

    // Hazard 36: it would be on disk, and the node could not read it back at its next start.
    [Theory]
    [InlineData(3, new byte[] { 1 })]
    [InlineData(255, new byte[0])]
    [InlineData((byte)EntryKind.Configuration, new byte[0])]
    [InlineData((byte)EntryKind.Configuration, new byte[] { 9, 9, 9 })]
    public async Task AnEntryThatCouldNotBeReadBackIsRefused(byte kind, byte[] payload)
    {
        await using var cluster = await WaitingNodeAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);
        Assert.True(await FakePeer.InviteAsync(leader));
        await AppendAsync(leader, 1, 0, 0, LogFixture.Record(1, 1));
        await Assert.ThrowsAsync<PeerUnavailableException>(() => AppendAsync(
            leader, 1, 1, 1,
            LogFixture.Record(2, 1), new LogRecord(3, 1, (EntryKind)kind, payload)));
        Assert.Equal(1, cluster[1].Node.Status.LastIndex);

        await cluster[1].StopAsync();
        await cluster[1].StartAsync(TestCluster.Limit);
        Assert.Equal(1, cluster[1].Node.Status.LastIndex);
    }

    [Fact]
    public async Task AVoterKeepsFaithWithItsLeader()
    {
        await using var cluster = new TestCluster { ElectionTimeout = 1000 };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        var (_, followers) = await cluster.RolesAsync();
        long term = followers[0].Node.Status.Term;
        await using var channel = followers[0].CallAs(followers[1].Address.NodeId);
        var (_, granted) = await VoteAsync(channel, term + 1, lastIndex: 1000, lastTerm: term + 1);
        Assert.False(granted);
        Assert.Equal(NodeRole.Follower, followers[0].Node.Status.Role);
    }

    [Fact]
    public async Task ARestartedVoterRefusesItsVoteAtFirst()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (_, followers) = await cluster.RolesAsync();
        var voter = followers[0];
        await Task.WhenAll(cluster.Nodes.Select(n => n.StopAsync()));
        await voter.StartAsync(TestCluster.Limit);
        long term = voter.Node.Status.Term;
        await using var channel = voter.CallAs(followers[1].Address.NodeId);
        var (_, granted) = await VoteAsync(channel, term + 1, lastIndex: 1000, lastTerm: term + 1);
        Assert.False(granted);
        await cluster.UntilAsync(
            async () =>
            {
                var (_, now) = await VoteAsync(
                    channel, voter.Node.Status.Term + 1, 1000, term + 1);
                return now;
            },
            "the vote to be granted after the first election timeout");
    }

    // Hazard 8: the leader that it acknowledged may count on the longer promise, and be cut off.
    [Fact]
    public async Task AVoterThatIsRestartedWithAShorterTimeoutKeepsItsLongerPromise()
    {
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        node.ElectionTimeout = 3000;
        cluster.Found(
            [
                node.Address,
                node.Address with { NodeId = 2, Port = TestNode.FreePort() },
                node.Address with { NodeId = 3, Port = TestNode.FreePort() },
            ]);
        await node.StartAsync(TestCluster.Limit);
        await using (var leader = node.CallAs(2))
        {
            await AppendAsync(leader, 5, 0, 0);
        }

        var sinceAcknowledged = System.Diagnostics.Stopwatch.StartNew();
        await node.StopAsync();
        node.ElectionTimeout = 0;
        await node.StartAsync(TestCluster.Limit);
        await using var candidate = node.CallAs(3);
        long term = 5;
        await cluster.UntilAsync(
            async () => (await VoteAsync(candidate, ++term, 1000, 5)).Granted, "the vote");
        Assert.InRange(sinceAcknowledged.ElapsedMilliseconds, 3000, 10_000);

        // The shorter one is in force from now on.
        await node.StopAsync();
        sinceAcknowledged.Restart();
        await node.StartAsync(TestCluster.Limit);
        await using var next = node.CallAs(3);
        await cluster.UntilAsync(
            async () => (await VoteAsync(next, ++term, 1000, 5)).Granted, "another vote");
        Assert.InRange(
            sinceAcknowledged.ElapsedMilliseconds, TestCluster.ElectionTimeoutMs, 2500);
    }

    // Hazard 30: brought up to date, but without the entry that makes it a member.
    [Fact]
    public async Task AJoinerWithoutAConfigurationVotesForWhoeverHasMore()
    {
        await using var cluster = await WaitingNodeAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);
        await using var candidate = FakePeer.Call(cluster[1].Address, 3);
        Assert.True(await FakePeer.InviteAsync(leader, lastIndex: 2));
        await AppendAsync(leader, 1, 0, 0, LogFixture.Record(1, 1), LogFixture.Record(2, 1));
        long term = 1;
        await cluster.UntilAsync(
            async () => (await VoteAsync(candidate, ++term, lastIndex: 3, lastTerm: 1)).Granted,
            "a vote for the longer log");

        // It has given that vote: another candidate of the term gets none.
        await using var other = FakePeer.Call(cluster[1].Address, 4);
        Assert.False((await VoteAsync(other, term, lastIndex: 3, lastTerm: 1)).Granted);
        Assert.False((await VoteAsync(other, term + 1, lastIndex: 1, lastTerm: 1)).Granted);
        Assert.Equal(NodeRole.Waiting, cluster[1].Node.Status.Role);
    }

    // Hazard 37: it may have given a vote of this term before it lost its memory.
    [Fact]
    public async Task ABlankNodeGivesNoVote()
    {
        await using var cluster = await WaitingNodeAsync();
        await using var candidate = FakePeer.Call(cluster[1].Address, 2);
        var (term, granted) = await VoteAsync(candidate, 7, lastIndex: 100, lastTerm: 6);
        Assert.False(granted);
        Assert.Equal(0, term);
        (term, granted) = await VoteAsync(candidate, 7, 100, 6, consentTerm: 6);
        Assert.False(granted, "A leader's consent brings no memory back.");
        Assert.Equal(0, term);
    }

    [Fact]
    public async Task AVoterVotesOnceTheLowerTimeoutHasPassed()
    {
        // Two founders that do not exist: the node hears one of them as leader, then no more. Its
        // own randomised timeout is anywhere up to twice the lower one; the vote must not be.
        for (int round = 0; round < 5; round++)
        {
            await using var cluster = new TestCluster();
            var self = cluster.Add(1).Address;
            cluster.Found(
                [
                    self,
                    self with { NodeId = 2, Port = TestNode.FreePort() },
                    self with { NodeId = 3, Port = TestNode.FreePort() },
                ]);
            await cluster[1].StartAsync(TestCluster.Limit);
            await using var leader = cluster[1].CallAs(2);
            await using var other = cluster[1].CallAs(3);
            var sinceSent = System.Diagnostics.Stopwatch.StartNew();
            await AppendAsync(leader, 5, 0, 0);
            var sinceAnswered = System.Diagnostics.Stopwatch.StartNew();
            bool granted = false;
            while (!granted)
            {
                long askedMs = sinceAnswered.ElapsedMilliseconds;
                (_, granted) = await VoteAsync(other, 6 + askedMs, 1000, 5);
                Assert.True(
                    granted || askedMs <= TestCluster.ElectionTimeoutMs, $"refused at {askedMs}");
            }

            Assert.True(
                sinceSent.ElapsedMilliseconds >= TestCluster.ElectionTimeoutMs,
                $"granted at {sinceSent.ElapsedMilliseconds}");
        }
    }

    [Fact]
    public async Task ACandidateWithTheConsentOfTheLeaderGetsItsVoteAtOnceForThatElectionAlone()
    {
        await using var cluster = new TestCluster();
        var self = cluster.Add(1).Address;
        cluster.Found(
            [
                self,
                self with { NodeId = 2, Port = TestNode.FreePort() },
                self with { NodeId = 3, Port = TestNode.FreePort() },
            ]);
        await cluster[1].StartAsync(TestCluster.Limit);
        await using var leader = cluster[1].CallAs(2);
        await using var other = cluster[1].CallAs(3);
        await AppendAsync(leader, 5, 0, 0);

        Assert.False((await VoteAsync(other, 6, 1000, 5)).Granted, "Without consent.");
        Assert.False((await VoteAsync(other, 7, 1000, 5, consentTerm: 5)).Granted, "Another term.");
        Assert.False((await VoteAsync(other, 6, 1000, 5, consentTerm: 6)).Granted, "Its own term.");
        Assert.Equal(5, cluster[1].Node.Status.Term);
        Assert.True((await VoteAsync(other, 6, 1000, 5, consentTerm: 5)).Granted);

        // A leader of a later term has been heard: what is left of the consent concerns nobody.
        await AppendAsync(leader, 8, 0, 0);
        Assert.False((await VoteAsync(other, 6, 1000, 5, consentTerm: 5)).Granted, "Over.");
        Assert.False((await VoteAsync(other, 9, 1000, 8, consentTerm: 5)).Granted, "Stale.");
        Assert.Equal(8, cluster[1].Node.Status.Term);
    }

    [Fact]
    public async Task WhoHoldsTheLeaseLetsNobodyThrough()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        await cluster.UntilAsync(() => leader.Node.HoldsLease, "the lease");
        long term = leader.Node.Status.Term;
        await using var channel = leader.CallAs(followers[1].Address.NodeId);
        var (_, granted) = await VoteAsync(channel, term + 1, 1000, term, consentTerm: term);
        Assert.False(granted);
        Assert.Equal((term, NodeRole.Leader), (leader.Node.Status.Term, leader.Node.Status.Role));
    }

    [Fact]
    public async Task ASecondLeaderOfOneTermIsRefused()
    {
        await using var cluster = await WaitingNodeAsync();
        await using var first = FakePeer.Call(cluster[1].Address, 2);
        await using var second = FakePeer.Call(cluster[1].Address, 3);
        Assert.True(await FakePeer.InviteAsync(first));
        await AppendAsync(first, 4, 0, 0);
        await Assert.ThrowsAsync<PeerUnavailableException>(() => AppendAsync(second, 4, 0, 0));
        Assert.Equal(2, cluster[1].Node.Status.LeaderId);
        var (status, _) = await AppendAsync(first, 4, 0, 0);
        Assert.NotEqual(HeartbeatResult.Rejected, status);
    }

    [Fact]
    public async Task AConfigurationTakesEffectWhenAppendedAndGoesWhenTruncated()
    {
        await using var cluster = await WaitingNodeAsync();
        var self = cluster[1].Address;
        var two = self with { NodeId = 2, Port = TestNode.FreePort() };
        var both = Configuration.Found(FakePeer.Founding, [self, two]);
        await using var leader = FakePeer.Call(self, 2);
        Assert.True(await FakePeer.InviteAsync(leader));
        await AppendAsync(
            leader, 4, 0, 0, new LogRecord(1, 4, EntryKind.Configuration, both.Bytes));
        Assert.Equal(NodeRole.Follower, cluster[1].Node.Status.Role);
        Assert.Empty(cluster[1].Node.GetMembers());
        await AppendAsync(leader, 5, 0, 0, new LogRecord(1, 5, EntryKind.Empty, default));
        Assert.Equal(NodeRole.Waiting, cluster[1].Node.Status.Role);
    }

    [Fact]
    public async Task ARefusalNamesTheLastPossibleMatch()
    {
        await using var cluster = await WaitingNodeAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);
        Assert.True(await FakePeer.InviteAsync(leader));
        await AppendAsync(leader, 1, 0, 0, LogFixture.Record(1, 1));
        await AppendAsync(
            leader, 2, 1, 1,
            LogFixture.Record(2, 2), LogFixture.Record(3, 2), LogFixture.Record(4, 2));
        var (status, lastIndex) = await AppendAsync(leader, 3, 4, 3);
        Assert.Equal(HeartbeatResult.Rejected, status);
        Assert.Equal(1, lastIndex);
    }

    [Fact]
    public async Task AFormerMemberIsNotServed()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await using var channel = cluster[1].CallAs(9);
        foreach (var type in new[] { MessageType.ReadIndex, MessageType.Forward })
        {
            var error = await Assert.ThrowsAsync<PeerUnavailableException>(
                () => channel.CallAsync(type, new FrameWriter(), Patience, TestCluster.Limit));
            Assert.True(error.RequestLeft);
        }
    }

    [Fact]
    public async Task ASnapshotAlreadyThereIsAcknowledged()
    {
        await using var cluster = await WaitingNodeAsync();
        await using var leader = FakePeer.Call(cluster[1].Address, 2);
        Assert.True(await FakePeer.InviteAsync(leader));
        await AppendAsync(leader, 1, 0, 0, LogFixture.Record(1, 1), LogFixture.Record(2, 1));
        await AppendAsync(leader, 1, 2, 1, commitIndex: 2);
        await using var transfer = FakePeer.Call(cluster[1].Address, 2);
        var begin = new FrameWriter().Int64(1).Int64(2).Int64(1).Int64(1000);
        var body = new BodyReader(await transfer.CallAsync(
            MessageType.SnapshotBegin, begin, Patience, TestCluster.Limit));
        body.Int64();
        Assert.Equal((byte)SnapshotAnswer.AlreadyThere, body.Byte());
    }

    private static async Task RefusedWithoutFoundingAsync(TestNode node, MessageType type)
    {
        var before = node.Node.Status;
        await using var channel = FakePeer.Call(node.Address, 2, foundingId: 0);
        var request = new FrameWriter()
            .Int64(before.Term + 100).Int64(0).Int64(0).Int64(0).Int32(0);
        var error = await Assert.ThrowsAsync<PeerUnavailableException>(
            () => channel.CallAsync(type, request, Patience, TestCluster.Limit));
        Assert.True(error.RequestLeft);
        Assert.Equal(before.Term, node.Node.Status.Term);
        Assert.Equal(before.LastIndex, node.Node.Status.LastIndex);
    }

    private static async Task<TestCluster> WaitingNodeAsync()
    {
        var cluster = new TestCluster();
        await cluster.Add(1).StartAsync(TestCluster.Limit);
        return cluster;
    }

    private static async Task<(long Term, bool Granted)> VoteAsync(
        PeerChannel channel, long term, long lastIndex = 0, long lastTerm = 0, long consentTerm = 0)
    {
        var request = new FrameWriter().Int64(term).Int64(lastIndex).Int64(lastTerm);
        if (consentTerm != 0)
        {
            request.Int64(consentTerm);
        }

        var body = new BodyReader(await channel.CallAsync(
            MessageType.Vote, request, Patience, TestCluster.Limit));
        return (body.Int64(), body.Byte() != 0);
    }

    private static Task<(HeartbeatResult Status, long LastIndex)> AppendAsync(
        PeerChannel channel, long term, long previousIndex, long previousTerm,
        params LogRecord[] records) =>
        AppendAsync(channel, term, previousIndex, previousTerm, 0, records);

    private static async Task<(HeartbeatResult Status, long LastIndex)> AppendAsync(
        PeerChannel channel, long term, long previousIndex, long previousTerm, long commitIndex,
        params LogRecord[] records)
    {
        var request = new FrameWriter()
            .Int64(term).Int64(previousIndex).Int64(previousTerm).Int64(commitIndex)
            .Int32(records.Length);
        foreach (var record in records)
        {
            request.Int64(record.Term).Byte((byte)record.Kind).Bytes(record.Payload.Span);
        }

        var body = new BodyReader(await channel.CallAsync(
            MessageType.Append, request, Patience, TestCluster.Limit));
        body.Int64();
        return ((HeartbeatResult)body.Byte(), body.Int64());
    }
}
