// Hazard 8: a member's answer says what was true when it was asked, so a lease counts from when the
// message was sent.
//
// Threading: one member, its peer is played. Failure: asserts.
using DotNext.IO;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class LeaseSendTimeTests
{
    [Fact]
    public async Task AnAppendThatIsAnsweredCountsFromWhenItWasSent()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        long arrived = 0;
        await using var peer = await FakePeer.StartAsync((request, answer, _) =>
        {
            arrived = fixture.Clock.GetTimestamp();
            FakePeer.Take(request, answer);
            return ValueTask.CompletedTask;
        });
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, 1, 0), 0, 0, 0, TestCluster.Limit);

        Assert.InRange(member.Peer.Contact.AcknowledgedAt(1), 1, arrived);
    }

    [Fact]
    public async Task APieceOfASnapshotThatIsAnsweredCountsFromWhenItWasSent()
    {
        await using var fixture = new LogFixture { HasVoters = false };
        fixture.Log.ObserveTerm(1);
        fixture.Machine.Apply(1, 1, CommandEncoder.KvPut("k"u8, "v"u8));
        Assert.Null(fixture.Applier.WriteSnapshot(fixture.Machine.Capture()));
        long arrived = 0;
        await using var peer = await FakePeer.StartAsync((_, answer, _) =>
        {
            arrived = fixture.Clock.GetTimestamp();
            answer.Int64(1).Byte((byte)SnapshotAnswer.Accepted);
            return ValueTask.CompletedTask;
        });
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);

        var limit = TestCluster.Limit;
        while (member.Peer.Contact.MatchIndex(1) < 1)
        {
            limit.ThrowIfCancellationRequested();
            await member.InstallSnapshotAsync(
                1, new OutgoingSnapshot(1, 1, Stream.Null), 1, IDataTransferObject.Empty, 0, limit);
        }

        Assert.InRange(member.Peer.Contact.AcknowledgedAt(1), 1, arrived);
    }
}
