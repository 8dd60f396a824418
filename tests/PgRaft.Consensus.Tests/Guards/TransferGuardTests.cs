// What a handover rests on: no lease is held from before the permission leaves until a later term,
// and the permission is good for one election.
using System.Collections.Concurrent;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class TransferGuardTests
{
    private const int NotHandedOver = 133;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task TheLeaseEndsBeforeThePermissionLeavesAndComesBackInALaterTermOnly()
    {
        await using var peer = await TakingPeer.FollowAsync();
        var leader = peer.Leader.Node;
        long term = leader.Status.Term;
        var published = new ConcurrentQueue<(long Term, long LeaseNs)>();
        leader.StatusChanged += () =>
            published.Enqueue((leader.Status.Term, leader.Status.LeaseDeadlineNs));
        (long Term, long LeaseNs)[] seenWhenAsked = [];
        bool heldWhenAsked = true;
        peer.OnTimeoutNow = (asked, answer, _) =>
        {
            seenWhenAsked = [.. published];
            heldWhenAsked = leader.HoldsLease;
            answer.Int64(asked).Byte(1);
            return ValueTask.CompletedTask;
        };

        // It does not stand, but goes on acknowledging appends.
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.TransferLeadershipAsync(2, TestCluster.Limit));

        Assert.Equal(StatusCode.NotDone, error.Code);
        Assert.Contains("did not take it in time", error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(seenWhenAsked);
        Assert.Equal((term, 0), seenWhenAsked[^1]);
        Assert.False(heldWhenAsked);
        var since = published.Skip(seenWhenAsked.Length).ToArray();
        Assert.Contains(since, s => s.Term == term);
        Assert.DoesNotContain(since, s => s.Term == term && s.LeaseNs != 0);
        await peer.Cluster.UntilAsync(() => leader.HoldsLease, "the lease of the next term");
        Assert.Equal(term + 1, leader.Status.Term);
        Assert.Equal((term + 1, term), peer.Votes.Last());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ATargetThatDiesOrRefusesLeavesTheLeaderLeading(bool dies)
    {
        await using var peer = await TakingPeer.FollowAsync();
        long term = peer.Leader.Node.Status.Term;
        peer.OnTimeoutNow = (asked, answer, _) =>
        {
            if (dies)
            {
                throw new InvalidDataException("The test broke the connection.");
            }

            answer.Int64(asked).Byte(0);
            return ValueTask.CompletedTask;
        };
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var transfer = peer.Leader.Node.TransferLeadershipAsync(2, TestCluster.Limit);
        var write = WriteAsync(peer.Cluster, "k", "meanwhile");

        var error = await Assert.ThrowsAsync<PgraftException>(() => transfer);

        Assert.Equal((StatusCode.NotDone, "Node 1 leads now."), (error.Code, error.Detail));
        Assert.Equal(
            ["leadership was not handed to node 2: node 1 leads now"],
            peer.Cluster.Said(NotHandedOver));
        await write;
        Assert.InRange(clock.ElapsedMilliseconds, 0, peer.Cluster.ElectionTimeout * 3 / 2);
        Assert.Equal(term + 1, peer.Leader.Node.Status.Term);
        await peer.Leader.PutAsync("k", "after", TestCluster.Limit);
    }

    // Of two voters nobody wins without it.
    [Fact]
    public async Task TheLeaderThatHasConsentedVotesAsWell()
    {
        await using var peer = await TakingPeer.FollowAsync();
        var leader = peer.Leader;
        await using var voter = leader.CallAs(2);
        bool granted = false;
        peer.OnTimeoutNow = async (term, answer, token) =>
        {
            var ballot = new FrameWriter().Int64(term + 1).Int64(1000).Int64(term).Int64(term);
            var body = new BodyReader(
                await voter.CallAsync(MessageType.Vote, ballot, Patience, token));
            body.Int64();
            granted = body.Byte() != 0;
            answer.Int64(term).Byte(1);
        };
        long before = leader.Node.Status.Term;

        await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.TransferLeadershipAsync(2, TestCluster.Limit));

        Assert.True(granted);
        Assert.True(leader.Node.Status.Term > before);
    }

    [Fact]
    public async Task CalledOffBeforeTheTargetIsAskedNothingHasHappened()
    {
        await using var peer = await TakingPeer.FollowAsync();
        long term = peer.Leader.Node.Status.Term;
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => peer.Leader.Node.TransferLeadershipAsync(2, new CancellationToken(true)));
        Assert.Equal(StatusCode.NotDone, error.Code);
        await peer.Leader.PutAsync("k", "v", TestCluster.Limit);
        Assert.Equal(term, peer.Leader.Node.Status.Term);
        Assert.True(peer.Leader.Node.HoldsLease);
    }

    [Fact]
    public async Task OnceTheTargetIsAskedTheOutcomeIsUnknownAndNothingElseBegins()
    {
        await using var peer = await TakingPeer.FollowAsync();
        var asked = new TaskCompletionSource();
        var answers = new TaskCompletionSource();
        peer.OnTimeoutNow = async (term, answer, token) =>
        {
            asked.TrySetResult();
            await answers.Task.WaitAsync(token);
            answer.Int64(term).Byte(0);
        };
        using var calledOff = new CancellationTokenSource();
        var transfer = peer.Leader.Node.TransferLeadershipAsync(2, calledOff.Token);
        await asked.Task.WaitAsync(TestCluster.Limit);

        var second = await Assert.ThrowsAsync<PgraftException>(
            () => peer.Leader.Node.TransferLeadershipAsync(0, TestCluster.Limit));
        var change = await Assert.ThrowsAsync<PgraftException>(
            () => peer.Leader.Node.AddMemberAsync(
                peer.Leader.Address with { NodeId = 9 }, TestCluster.Limit));
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));
        var write = await Assert.ThrowsAsync<PgraftException>(
            async () => await peer.Leader.PutAsync("k", "too late", soon.Token));
        await calledOff.CancelAsync();
        var error = await Assert.ThrowsAsync<PgraftException>(() => transfer);
        answers.SetResult();

        Assert.Equal(StatusCode.WrongState, second.Code);
        Assert.Equal(StatusCode.WrongState, change.Code);
        Assert.Contains("transfer", change.Message, StringComparison.Ordinal);
        Assert.Equal(StatusCode.NotDone, write.Code);
        Assert.Equal(StatusCode.OutcomeUnknown, error.Code);
        await WriteAsync(peer.Cluster, "k", "after");
        Assert.Equal("after", peer.Leader.Get("k"));
    }

    [Fact]
    public async Task AnElectionCarriesTheConsentOfTheTermBeforeItAlone()
    {
        var consents = new ConcurrentQueue<long>();
        int preVotes = 0;
        await using var peer = await FakePeer.StartAsync((request, answer, _) =>
        {
            var body = new BodyReader(request.Body);
            answer.Int64(body.Int64()).Byte(0);
            body.Int64();
            body.Int64();
            consents.Enqueue(body.Rest.IsEmpty ? 0 : body.Int64());
            preVotes += request.Type == MessageType.PreVote ? 1 : 0;
            return ValueTask.CompletedTask;
        });
        await using var fixture = new LogFixture { ConsentTerm = 5, ElectionTimeoutMs = 40_000 };
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        await member.VoteAsync(6, 1, 5, TestCluster.Limit);
        await member.VoteAsync(7, 1, 5, TestCluster.Limit);
        await member.VoteAsync(5, 1, 5, TestCluster.Limit);
        var own = await member.PreVoteAsync(5, 1, 5, TestCluster.Limit);
        Assert.Equal(0, preVotes);
        await member.PreVoteAsync(6, 1, 5, TestCluster.Limit);

        Assert.Equal(PreVoteResult.Accepted, own.Value);
        Assert.Equal(1, preVotes);
        Assert.Equal([5, 0, 0, 0], consents);
    }

    [Fact]
    public async Task ALogThatIsClosedTakesNoProposal()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(3);
        Assert.NotNull(fixture.Log.Propose(3, [1]));
        fixture.Log.CloseTerm(3, closed: true);
        Assert.Null(fixture.Log.Propose(3, [2]));
        await Assert.ThrowsAsync<NotLeaderException>(
            async () => await fixture.Engine.AppendAsync(
                new EmptyLogEntry { Term = 3 }, TestCluster.Limit));
        Assert.Equal(1, fixture.Log.Records.LastIndex);
        fixture.Log.CloseTerm(3, closed: false);
        Assert.NotNull(fixture.Log.Propose(3, [3]));

        // Of the next term, which this node leads as well.
        fixture.Log.CloseTerm(3, closed: true);
        fixture.Log.ObserveTerm(4);
        Assert.NotNull(fixture.Log.Propose(4, [4]));
    }

    [Fact]
    public async Task OnlyTheLeaderOfTheTermMakesAMemberStand()
    {
        await using var cluster = new TestCluster { ElectionTimeout = 1500 };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        var (leader, followers) = await cluster.RolesAsync();
        await leader.PutAsync("k", "v", TestCluster.Limit);
        await cluster.AgreeAsync();
        var target = followers[0];
        long term = target.Node.Status.Term;
        long elections = target.Node.Status.ElectionsTriggered;
        long last = target.Node.Status.LastIndex;
        await using var other = target.CallAs(followers[1].Address.NodeId);
        await using var chosen = target.CallAs(leader.Address.NodeId);

        Assert.False(await AskAsync(other, term, last), "Not the leader.");
        Assert.False(await AskAsync(chosen, term - 1, last), "Of another term.");
        Assert.False(await AskAsync(chosen, term + 1, last), "Of another term.");
        Assert.False(await AskAsync(chosen, term, last + 1), "It lacks an entry.");
        await leader.PutAsync("k", "still", TestCluster.Limit);
        Assert.Equal(
            (term, elections),
            (leader.Node.Status.Term, target.Node.Status.ElectionsTriggered));
    }

    // The old leader's heartbeats go on until it learns of the election, and would restart the
    // follower's clock.
    [Fact]
    public async Task AMemberThatIsAskedStandsAlthoughHeartbeatsGoOn()
    {
        await using var cluster = new TestCluster { ElectionTimeout = 2000 };
        var self = cluster.Add(1).Address;
        cluster.Found(
            [
                self,
                self with { NodeId = 2, Port = TestNode.FreePort() },
                self with { NodeId = 3, Port = TestNode.FreePort() },
            ]);
        await cluster[1].StartAsync(TestCluster.Limit);
        await using var leader = cluster[1].CallAs(2);
        await HeartbeatAsync(leader);
        using var stop = new CancellationTokenSource();
        var beating = Enumerable.Range(0, 2).Select(
            _ => Task.Run(() => HeartbeatsAsync(cluster[1], stop.Token))).ToArray();
        var clock = System.Diagnostics.Stopwatch.StartNew();

        Assert.True(await AskAsync(leader, 5, 0));
        await cluster.UntilAsync(() => cluster[1].Node.Status.Term > 5, "an election");

        Assert.InRange(clock.ElapsedMilliseconds, 0, cluster.ElectionTimeout / 2);
        await stop.CancelAsync();
        await Task.WhenAll(beating);
    }

    private static async Task HeartbeatsAsync(TestNode target, CancellationToken stop)
    {
        await using var leader = target.CallAs(2);
        while (!stop.IsCancellationRequested)
        {
            await HeartbeatAsync(leader);
        }
    }

    private static Task<ReadOnlyMemory<byte>> HeartbeatAsync(PeerChannel target) =>
        target.CallAsync(
            MessageType.Append, new FrameWriter().Int64(5).Int64(0).Int64(0).Int64(0).Int32(0),
            Patience, TestCluster.Limit);

    private static async Task<bool> AskAsync(PeerChannel target, long term, long lastIndex)
    {
        var request = new FrameWriter().Int64(term).Int64(lastIndex);
        var body = new BodyReader(await target.CallAsync(
            MessageType.TimeoutNow, request, Patience, TestCluster.Limit));
        body.Int64();
        return body.Byte() != 0;
    }

    private static async Task WriteAsync(TestCluster cluster, string key, string value)
    {
        while (true)
        {
            var leader = await cluster.LeaderAsync();
            try
            {
                await leader.PutAsync(key, value, TestCluster.Limit);
                return;
            }
            catch (PgraftException e) when (e.Code == StatusCode.NotLeader)
            {
                // Certainly not done: again.
            }
        }
    }
}
