// Hazards 4, 5, 6, 11 and 18: what a member tells the engine, and how long it takes.
using System.Diagnostics;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class MemberGuardTests
{
    [Fact]
    public async Task ASnapshotCountsAsTouchedOnly()
    {
        await using var peer = await FakePeer.StartAsync((request, answer, _) =>
        {
            answer.Int64(3).Byte((byte)SnapshotAnswer.Accepted);
            return ValueTask.CompletedTask;
        });
        await using var fixture = new LogFixture();
        fixture.Machine.Apply(1, 1, CommandEncoder.KvPut("k"u8, new byte[1_500_000]));
        fixture.Applier.WriteSnapshot(fixture.Machine.Capture());
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        var clock = Stopwatch.StartNew();
        while (member.Peer.Contact.MatchIndex(3) == 0)
        {
            var result = await member.InstallSnapshotAsync(
                3, new OutgoingSnapshot(1, 1, Stream.Null), 1,
                DotNext.IO.IDataTransferObject.Empty, 0, TestCluster.Limit);
            Assert.Equal(HeartbeatResult.UnsupportedVersion, result.Value);
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), "It never ends.");
        }

        Assert.Equal(1, member.Peer.Contact.MatchIndex(3));
        Assert.Equal(2, member.NextIndex);
    }

    [Theory]
    [InlineData(3, HeartbeatResult.ReplicatedWithLeaderTerm)]
    [InlineData(2, HeartbeatResult.Replicated)]
    public async Task AnEmptyAppendCountsIfTheEntryBeforeIsOfThisTerm(
        long lastTerm, HeartbeatResult expected)
    {
        await using var peer = await TakingPeerAsync(3, Task.CompletedTask);
        await using var fixture = new LogFixture();
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        var result = await AppendNothingAsync(member, fixture, 3, lastTerm);
        Assert.Equal(expected, result.Value.Result);
        Assert.Equal([3L], fixture.Acknowledged);
    }

    [Fact]
    public async Task ARefusedAppendStepsBackWithinTheCall()
    {
        var asked = new List<(long Previous, int Count)>();
        await using var peer = await FakePeer.StartAsync((request, answer, _) =>
        {
            var body = new BodyReader(request.Body);
            body.Int64();
            long previous = body.Int64();
            body.Int64();
            body.Int64();
            asked.Add((previous, body.Int32()));
            var result = previous > 1 ? HeartbeatResult.Rejected : HeartbeatResult.Replicated;
            answer.Int64(1).Byte((byte)result).Int64(1);
            return ValueTask.CompletedTask;
        });
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(
            LogFixture.Record(1, 1), LogFixture.Record(2, 1), LogFixture.Record(3, 1));
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        var result = await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, 4, 3), 3, 1, 0, TestCluster.Limit);
        Assert.Equal(HeartbeatResult.ReplicatedWithLeaderTerm, result.Value.Result);
        Assert.Equal([(3, 0), (1, 2)], asked);
        Assert.Equal(3, member.Peer.Contact.MatchIndex(1));
    }

    // Hazard 26: the engine may be in a round from before the removal, which needs its answer.
    [Fact]
    public async Task AMemberThatWasDisposedAnswersForAsLongAsARoundMayTake()
    {
        await using var peer = await TakingPeerAsync(3, Task.CompletedTask);
        await using var fixture = new LogFixture { ElectionTimeoutMs = 2000 };
        var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        member.Dispose();

        var result = await AppendNothingAsync(member, fixture, 3);
        Assert.Equal(HeartbeatResult.ReplicatedWithLeaderTerm, result.Value.Result);
        for (var clock = Stopwatch.StartNew(); ;)
        {
            try
            {
                await AppendNothingAsync(member, fixture, 3);
                Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), "It never ends.");
            }
            catch (MemberUnavailableException)
            {
                break;
            }
        }
    }

    // Hazard 35: the round of all members ends only when this call does.
    [Fact]
    public async Task ALongCatchUpGoesInPieces()
    {
        await using var fixture = new LogFixture();
        var pace = TimeSpan.FromMilliseconds(fixture.ElectionTimeoutMs / 5.0);
        await using var peer = await FakePeer.StartAsync(async (request, answer, token) =>
        {
            await Task.Delay(pace, token); // its pace
            FakePeer.Take(request, answer);
        });
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(
            [.. Enumerable.Range(1, 500).Select(i => LogFixture.Record(i, 1))]);
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, 1, 500), 0, 0, 0, TestCluster.Limit);

        Assert.InRange(member.Peer.Contact.MatchIndex(1), 1, 499);
        Assert.Equal(1, fixture.Nudges);
    }

    // Hazard 35: the peer takes for ever to say that it has the first one.
    [Fact]
    public async Task AVotersRoundDoesNotWaitForTheNextPieceOfASnapshot()
    {
        var held = new TaskCompletionSource();
        await using var peer = await FakePeer.StartAsync(async (_, answer, token) =>
        {
            await held.Task.WaitAsync(token);
            answer.Int64(3).Byte((byte)SnapshotAnswer.Accepted);
        });
        await using var fixture = new LogFixture { ElectionTimeoutMs = 600_000 };
        fixture.Machine.Apply(1, 1, CommandEncoder.KvPut("k"u8, new byte[1000]));
        fixture.Applier.WriteSnapshot(fixture.Machine.Capture());
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        var result = await member.InstallSnapshotAsync(
            3, new OutgoingSnapshot(1, 1, Stream.Null), 1,
            DotNext.IO.IDataTransferObject.Empty, 0, TestCluster.Limit);

        Assert.Equal(HeartbeatResult.UnsupportedVersion, result.Value);
        Assert.Equal(0, member.Peer.Contact.MatchIndex(3));
        held.SetResult();
    }

    // Hazard 44: whoever wins the next election begins without prejudice.
    [Fact]
    public async Task AMemberThatWasAwayIsAskedInTheNextTerm()
    {
        var thawed = new TaskCompletionSource();
        await using var peer = await TakingPeerAsync(4, thawed.Task);
        await using var fixture = new LogFixture();
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        await Assert.ThrowsAsync<MemberUnavailableException>(
            () => AppendNothingAsync(member, fixture, 3));

        thawed.SetResult();
        var result = await AppendNothingAsync(member, fixture, 4);
        Assert.Equal(HeartbeatResult.ReplicatedWithLeaderTerm, result.Value.Result);
    }

    // The first round that it counts in is the one that makes it a member: missing there, it would
    // cost a leader of two its leadership.
    [Fact]
    public async Task AJoinerThatMissedARoundIsThereWhenItCounts()
    {
        var thawed = new TaskCompletionSource();
        await using var peer = await TakingPeerAsync(3, thawed.Task);
        await using var fixture = new LogFixture { HasVoters = false };
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        await Assert.ThrowsAsync<MemberUnavailableException>(
            () => AppendNothingAsync(member, fixture, 3));

        thawed.SetResult();
        fixture.HasVoters = true;
        var result = await AppendNothingAsync(member, fixture, 3);
        Assert.Equal(HeartbeatResult.ReplicatedWithLeaderTerm, result.Value.Result);
    }

    [Fact]
    public async Task AFrozenPeerCostsAVoteAQuarterOfTheElectionTimeout()
    {
        await using var peer = await FakePeer.StartAsync(FakePeer.Silent);
        await using var fixture = new LogFixture();
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        // The first time is one of compiling and connecting.
        await AskAsync();
        var clock = Stopwatch.StartNew();
        await AskAsync();
        Assert.InRange(clock.ElapsedMilliseconds, 0, fixture.ElectionTimeoutMs);

        async Task AskAsync()
        {
            await Assert.ThrowsAsync<MemberUnavailableException>(
                () => member.VoteAsync(1, 0, 0, TestCluster.Limit));
            await Assert.ThrowsAsync<MemberUnavailableException>(
                () => member.PreVoteAsync(1, 0, 0, TestCluster.Limit));
        }
    }

    // Of three; each asked once in an election. The next is not decided by the one before.
    [Fact]
    public async Task WhoIsSilentIsNotWaitedForWhenAMajorityHasGranted()
    {
        await using var silent = await FakePeer.StartAsync(FakePeer.Silent);
        var script = new ScriptedPeer { Votes = true };
        await using var voter = await FakePeer.StartAsync(script.Answer, nodeId: 3);
        await using var fixture = new LogFixture { ElectionTimeoutMs = 600_000 };
        using var away = new RemoteMember(silent.Address, silent.Dial(), fixture);
        using var there = new RemoteMember(voter.Address, voter.Dial(), fixture);

        for (int election = 0; election < 2; election++)
        {
            var asked = away.PreVoteAsync(1, 0, 0, TestCluster.Limit);
            Assert.False(asked.IsCompleted);
            var granted = await there.PreVoteAsync(1, 0, 0, TestCluster.Limit);
            Assert.Equal(PreVoteResult.Accepted, granted.Value);
            await Assert.ThrowsAsync<MemberUnavailableException>(() => asked);
        }

        var vote = away.VoteAsync(2, 0, 0, TestCluster.Limit);
        Assert.False(vote.IsCompleted);
        Assert.True((await there.VoteAsync(2, 0, 0, TestCluster.Limit)).Value);
        await Assert.ThrowsAsync<MemberUnavailableException>(() => vote);

        // A refusal decides nothing.
        script.Votes = false;
        var refused = away.VoteAsync(3, 0, 0, TestCluster.Limit);
        Assert.False((await there.VoteAsync(3, 0, 0, TestCluster.Limit)).Value);
        Assert.False(refused.IsCompleted);
    }

    [Fact]
    public async Task AFrozenMemberDoesNotDelayAnElection()
    {
        await using var frozen = await FakePeer.StartAsync(FakePeer.Silent);
        await using var cluster = new TestCluster();
        foreach (int id in new[] { 1, 3 })
        {
            cluster.Add(id);
        }

        cluster.Found([.. cluster.Nodes.Select(n => n.Address), frozen.Address]);
        await Task.WhenAll(cluster.Nodes.Select(n => n.StartAsync(TestCluster.Limit)));
        var clock = Stopwatch.StartNew();
        var leader = await cluster.LeaderAsync();
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(8));
        await leader.PutAsync("k", "v", TestCluster.Limit);
        var other = cluster.Nodes.Single(n => n != leader);
        await leader.PutAsync("k", "w", TestCluster.Limit);
        await cluster.UntilAsync(() => other.Get("k") == "w", "the other member to follow");
    }

    [Fact]
    public async Task ABrokenConnectionIsTriedAgainWithinTheDeadline()
    {
        int calls = 0;
        await using var peer = await FakePeer.StartAsync((_, answer, _) =>
        {
            if (Interlocked.Increment(ref calls) < 3)
            {
                throw new InvalidDataException("broken on purpose");
            }

            answer.Int64(1).Byte((byte)HeartbeatResult.Replicated).Int64(0);
            return ValueTask.CompletedTask;
        });
        await using var fixture = new LogFixture { ElectionTimeoutMs = 5000 };
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        var result = await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, 1, 0), 0, 0, 0, TestCluster.Limit);
        Assert.Equal(HeartbeatResult.Replicated, result.Value.Result);
        Assert.Equal(3, calls);
    }

    [Fact]
    public async Task AnUnreachablePeerIsUnavailableAfterTheDeadline()
    {
        await using var fixture = new LogFixture { ElectionTimeoutMs = 200 };
        var nowhere = new MemberAddress(2, "127.0.0.1", TestNode.FreePort());
        await using var peer = new Peer(
            nowhere, kind => FakePeer.HelloOf(1, 2) with { Kind = kind },
            new PgRaft.Consensus.Leadership.PeerContact(
                TimeProvider.System, TimeSpan.FromSeconds(2)),
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        using var member = new RemoteMember(nowhere, peer, fixture);
        await Assert.ThrowsAsync<MemberUnavailableException>(
            () => member.AppendEntriesAsync<EngineEntry, LogRange>(
                1, new LogRange(fixture.Log, 1, 0), 0, 0, 0, TestCluster.Limit));
        Assert.NotNull(peer.LastError);
    }

    [Fact]
    public async Task ARefusedPreVoteTeachesTheTerm()
    {
        await using var peer = await FakePeer.StartAsync((_, answer, _) =>
        {
            answer.Int64(9).Byte((byte)PreVoteResult.RejectedByFollower);
            return ValueTask.CompletedTask;
        });
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(4);
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        await member.PreVoteAsync(4, 0, 0, TestCluster.Limit);
        Assert.Equal(9, fixture.Log.Term);
    }

    [Fact]
    public async Task ANodeThatMayNotCampaignStopsItsOwnElection()
    {
        using var local = new LocalMember(new MemberAddress(1, "127.0.0.1", 1), () => false);
        var preVote = await local.PreVoteAsync(1, 0, 0, TestCluster.Limit);
        Assert.Equal(PreVoteResult.RejectedByLeader, preVote.Value);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => local.VoteAsync(1, 0, 0, TestCluster.Limit));
    }

    // It has the first seven entries, and says so once it is thawed.
    private static Task<FakePeer> TakingPeerAsync(long term, Task thawed) =>
        FakePeer.StartAsync(async (_, answer, token) =>
        {
            await thawed.WaitAsync(token);
            answer.Int64(term).Byte((byte)HeartbeatResult.Replicated).Int64(7);
        });

    // Behind the seventh entry, which is of the same term unless another one is given.
    private static Task<Result<ReplicationStatus>> AppendNothingAsync(
        RemoteMember member, LogFixture fixture, long term, long? lastTerm = null) =>
        member.AppendEntriesAsync<EngineEntry, LogRange>(
            term, new LogRange(fixture.Log, 8, 7), 7, lastTerm ?? term, 0, TestCluster.Limit);
}
