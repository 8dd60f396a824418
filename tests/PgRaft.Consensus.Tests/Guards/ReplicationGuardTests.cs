// Hazards 4, 30, 34, 35 and 46: what is sent to a member, and what its answers are taken for.
//
// Threading: one member, its peer is played. Failure: asserts.
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class ReplicationGuardTests
{
    // The engine counts the whole range for any answer that is not a refusal.
    [Fact]
    public async Task AnAppendCoversTheWholeRange()
    {
        var sent = new List<int>();
        await using var peer = await AcceptingPeerAsync(sent);
        await using var fixture = new LogFixture { ElectionTimeoutMs = 30_000 };
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(
            [.. Enumerable.Range(1, 250).Select(i => LogFixture.Record(i, 1))]);
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        var result = await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, 1, 250), 0, 0, 0, TestCluster.Limit);

        Assert.Equal(HeartbeatResult.ReplicatedWithLeaderTerm, result.Value.Result);
        Assert.Equal([100, 100, 50], sent);
        Assert.Equal(250, member.Peer.Contact.MatchIndex(1));
    }

    // Eighty are asked for, a hundred fit into the message, and more rounds were queued behind it.
    [Fact]
    public async Task OneMessageSpeaksForTheRoundsThatQueueBehindIt()
    {
        var sent = new List<int>();
        await using var peer = await AcceptingPeerAsync(sent);
        await using var fixture = new LogFixture { ElectionTimeoutMs = 30_000 };
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(
            [.. Enumerable.Range(1, 130).Select(i => LogFixture.Record(i, 1))]);
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        Assert.Equal(Everything, await RoundAsync(fixture, member, 1, 80));
        Assert.Equal([100], sent);
        Assert.Equal(Everything, await RoundAsync(fixture, member, 81, 90));
        Assert.Equal(Everything, await RoundAsync(fixture, member, 91, 100));
        Assert.Equal([100], sent);
        Assert.Equal(Everything, await RoundAsync(fixture, member, 101, 130));
        Assert.Equal([100, 30], sent);

        // A round that began after it wants to be heard, the rest of those before it does not.
        Assert.Equal(Everything, await RoundAsync(fixture, member, 131, 130));
        Assert.Equal([100, 30], sent);
        Assert.Equal(130, fixture.Engine.LastEntryIndex);
        Assert.Equal(Everything, await RoundAsync(fixture, member, 131, 130));
        Assert.Equal([100, 30, 0], sent);
        Assert.Equal(Everything, await RoundAsync(fixture, member, 131, 130));
        Assert.Equal([100, 30, 0], sent);
    }

    // It was deposed meanwhile, and follows.
    [Fact]
    public async Task EntriesOfALaterTermAreNotSentAlong()
    {
        var sent = new List<int>();
        await using var peer = await AcceptingPeerAsync(sent);
        await using var fixture = new LogFixture { ElectionTimeoutMs = 30_000 };
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(
            LogFixture.Record(1, 1), LogFixture.Record(2, 1), LogFixture.Record(3, 2));
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        Assert.Equal(Everything, await RoundAsync(fixture, member, 1, 2));
        Assert.Equal([2], sent);
        Assert.Equal(2, member.Peer.Contact.MatchIndex(1));
    }

    // With it in its log it would refuse its vote to those without it, and could not stand.
    [Fact]
    public async Task AnUncommittedRemovalIsNotSentToTheRemoved()
    {
        var sent = new List<int>();
        await using var peer = await AcceptingPeerAsync(sent);
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        var without = Configuration.Found(
            FakePeer.Founding,
            [peer.Address with { NodeId = 1 }, peer.Address with { NodeId = 3 }]);
        await fixture.ReceiveAsync(
            LogFixture.Record(1, 1),
            new LogRecord(2, 1, EntryKind.Configuration, without.Bytes),
            LogFixture.Record(3, 1));
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        var uncommitted = await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, 1, 3), 0, 0, 0, TestCluster.Limit);
        Assert.Equal(HeartbeatResult.Rejected, uncommitted.Value.Result);
        Assert.Equal(1, uncommitted.Value.LastIndex);
        Assert.Equal(1, member.Peer.Contact.MatchIndex(1));
        Assert.DoesNotContain(sent, count => count > 1);

        await fixture.Engine.CommitAsync(2, TestCluster.Limit);
        var committed = await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, 2, 3), 1, 1, 2, TestCluster.Limit);
        Assert.Equal(HeartbeatResult.ReplicatedWithLeaderTerm, committed.Value.Result);
        Assert.Equal(2, sent[^1]);
    }

    [Fact]
    public async Task AnAnswerThatMakesNoSenseIsAnUnavailableMember()
    {
        await using var peer = await FakePeer.StartAsync((_, answer, _) =>
        {
            answer.Byte(1);
            return ValueTask.CompletedTask;
        });
        await using var fixture = new LogFixture();
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        await Assert.ThrowsAsync<MemberUnavailableException>(
            () => member.PreVoteAsync(1, 0, 0, TestCluster.Limit));
        await Assert.ThrowsAsync<MemberUnavailableException>(
            () => member.VoteAsync(1, 0, 0, TestCluster.Limit));
    }

    // Two pieces are acknowledged, the third never; the rounds end all the same, until it takes
    // longer than an election timeout.
    [Fact]
    public async Task ARoundDoesNotWaitForTheWholeSnapshot()
    {
        var third = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int pieces = 0;
        var script = new ScriptedPeer
        {
            BeforePiece = async token =>
            {
                if (Interlocked.Increment(ref pieces) == 3)
                {
                    third.SetResult();
                    await Task.Delay(Timeout.Infinite, token);
                }
            },
        };
        await using var peer = await FakePeer.StartAsync(script.Answer);
        await using var fixture = new LogFixture { ElectionTimeoutMs = 2000 };
        byte[] incompressible = new byte[3_000_000];
        new Random(1).NextBytes(incompressible);
        fixture.Machine.Apply(1, 1, CommandEncoder.KvPut("k"u8, incompressible));
        fixture.Applier.WriteSnapshot(fixture.Machine.Capture());
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        var first = await RoundAsync(member).WaitAsync(TestCluster.Limit);
        await third.Task.WaitAsync(TestCluster.Limit);
        var second = await RoundAsync(member).WaitAsync(TestCluster.Limit);

        // Neither counts for the commit rule (hazard 4).
        Assert.Equal(HeartbeatResult.UnsupportedVersion, first.Value);
        Assert.Equal(HeartbeatResult.UnsupportedVersion, second.Value);
        await Assert.ThrowsAsync<MemberUnavailableException>(async () =>
        {
            while (true)
            {
                await RoundAsync(member).WaitAsync(TestCluster.Limit);
            }
        });
    }

    private const HeartbeatResult Everything = HeartbeatResult.ReplicatedWithLeaderTerm;

    // A round of term 1, as the engine asks: all before the range is there.
    private static async Task<HeartbeatResult> RoundAsync(
        LogFixture fixture, RemoteMember member, long first, long last)
    {
        var result = await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, first, last), first - 1,
            Math.Max(fixture.Log.TermAt(first - 1), 0), 0, TestCluster.Limit);
        return result.Value.Result;
    }

    private static Task<Result<HeartbeatResult>> RoundAsync(RemoteMember member) =>
        member.InstallSnapshotAsync(
            1, new OutgoingSnapshot(1, 1, Stream.Null), 1, DotNext.IO.IDataTransferObject.Empty, 0,
            TestCluster.Limit);

    // Accepts everything and notes how many entries came at a time.
    private static Task<FakePeer> AcceptingPeerAsync(List<int> sent) =>
        FakePeer.StartAsync((request, answer, _) =>
        {
            var body = new BodyReader(request.Body);
            long term = body.Int64();
            body.Int64();
            body.Int64();
            body.Int64();
            sent.Add(body.Int32());
            answer.Int64(term).Byte((byte)HeartbeatResult.Replicated).Int64(0);
            return ValueTask.CompletedTask;
        });
}
