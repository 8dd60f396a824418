// The log keeps what follows a snapshot that is on its way to a member, so that the member need not
// be sent another one: how far, for how long, and not without end.
using DotNext.Net.Cluster;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class LogRetentionTests
{
    private const int Entries = 400;
    private const int LargeState = 300_000;

    [Theory]
    [InlineData(LargeState, 0, false)]
    [InlineData(LargeState, 1, true)]
    [InlineData(LargeState, (Entries / 2) + 100, false)]
    [InlineData(10, 1, false)]
    public async Task WhatSomebodyWaitsForIsKeptUnlessASnapshotIsShorter(
        int stateBytes, int from, bool isKept)
    {
        await using var fixture = await FilledAsync();
        using var hold = from > 0 ? fixture.Log.Retention.Keep(from) : null;
        Snapshot(fixture, stateBytes);
        long first = fixture.Log.Records.FirstIndex;
        Assert.Equal(isKept, first == 1);
        Assert.True(isKept || first > Entries / 2, $"the log begins at {first}");
        Assert.True(from < 2 || first <= from, $"the log begins at {first}");
    }

    [Fact]
    public async Task TheLowestCountsAndEachEndsByItself()
    {
        await using var fixture = new LogFixture();
        var retention = fixture.Log.Retention;
        var (first, second) = (retention.Keep(5), retention.Keep(7));
        Assert.Equal(5, retention.First);
        first.Dispose();
        first.Dispose();
        Assert.Equal(7, retention.First);
        second.Dispose();
        Assert.Equal(long.MaxValue, retention.First);
    }

    // The member of an earlier leader may have been told of it by nobody.
    [Fact]
    public async Task ALaterTermEndsAll()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        using var hold = fixture.Log.Retention.Keep(5);
        fixture.Log.ObserveTerm(2);
        Assert.Equal(long.MaxValue, fixture.Log.Retention.First);
    }

    [Fact]
    public async Task AMemberHoldsThemUntilItHasThem()
    {
        await using var fixture = await FilledAsync();
        Snapshot(fixture, LargeState);
        await using var peer = await TakingPeerAsync(Task.CompletedTask);
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        await InstallAsync(member, until: () => member.Peer.Contact.MatchIndex(1) == Entries);
        await fixture.ReceiveAsync(LogFixture.Record(Entries + 1, 1));
        Assert.Equal(Entries + 1, fixture.Log.Retention.First);

        await member.AppendEntriesAsync<EngineEntry, LogRange>(
            1, new LogRange(fixture.Log, Entries + 1, Entries + 1), Entries, 1, 0,
            TestCluster.Limit);
        Assert.Equal(Entries + 1, member.Peer.Contact.MatchIndex(1));
        Assert.Equal(long.MaxValue, fixture.Log.Retention.First);
    }

    // It verifies, syncs and restores the snapshot: longer than a round waits.
    [Fact]
    public async Task AMemberThatIsSilentWhileItInstallsStillHoldsThem()
    {
        await using var fixture = await FilledAsync();
        Snapshot(fixture, LargeState);
        var installed = new TaskCompletionSource();
        await using var peer = await TakingPeerAsync(installed.Task);
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        await Assert.ThrowsAsync<MemberUnavailableException>(
            () => InstallAsync(member, until: () => false));
        Assert.Equal(Entries + 1, fixture.Log.Retention.First);
        installed.SetResult();
    }

    [Theory]
    [InlineData(Ending.Unreachable)]
    [InlineData(Ending.Cancelled)]
    [InlineData(Ending.Disposed)]
    public async Task AMemberThatIsGoneHoldsNothing(Ending ending)
    {
        await using var fixture = await FilledAsync();
        Snapshot(fixture, LargeState);
        var peer = await TakingPeerAsync(
            ending == Ending.Unreachable ? Task.CompletedTask : new TaskCompletionSource().Task);
        await using var stopping = peer;
        using var member = new RemoteMember(peer.Address, peer.Dial(), fixture);
        int calls = 0;
        await InstallAsync(member, until: () => calls++ > 0);
        Assert.Equal(Entries + 1, fixture.Log.Retention.First);
        switch (ending)
        {
            case Ending.Unreachable:
                await InstallAsync(
                    member, until: () => member.Peer.Contact.MatchIndex(1) == Entries);
                await peer.DisposeAsync();
                await Assert.ThrowsAsync<MemberUnavailableException>(
                    () => member.AppendEntriesAsync<EngineEntry, LogRange>(
                        1, new LogRange(fixture.Log, Entries + 1, Entries), Entries, 1, 0,
                        TestCluster.Limit));
                break;
            case Ending.Cancelled:
                await member.CancelPendingRequestsAsync();
                break;
            default:
                member.Dispose();
                break;
        }

        Assert.Equal(long.MaxValue, fixture.Log.Retention.First);
    }

    public enum Ending
    {
        Unreachable,
        Cancelled,
        Disposed,
    }

    // Many segments of the least length.
    private static async Task<LogFixture> FilledAsync()
    {
        var fixture = new LogFixture(LogOptions.MinSegmentBytes);
        fixture.Runtime = fixture.Runtime with { MaxLogEntries = 0 };
        fixture.Log.ObserveTerm(1);
        await fixture.ReceiveAsync(
            [.. Enumerable.Range(1, Entries).Select(i => LogFixture.Record(i, 1))]);
        return fixture;
    }

    private static void Snapshot(LogFixture fixture, int stateBytes)
    {
        fixture.Machine.Apply(1, 1, CommandEncoder.KvPut("k"u8, new byte[stateBytes]));
        for (int i = 2; i <= Entries; i++)
        {
            fixture.Machine.Skip(i, 1);
        }

        Assert.Null(fixture.Applier.WriteSnapshot(fixture.Machine.Capture()));
    }

    private static async Task InstallAsync(RemoteMember member, Func<bool> until)
    {
        var limit = TestCluster.Limit;
        while (!until())
        {
            limit.ThrowIfCancellationRequested();
            await member.InstallSnapshotAsync(
                1, new OutgoingSnapshot(Entries, 1, Stream.Null), Entries,
                DotNext.IO.IDataTransferObject.Empty, 0, limit);
        }
    }

    private static Task<FakePeer> TakingPeerAsync(Task installed) =>
        FakePeer.StartAsync(async (request, answer, token) =>
        {
            if (request.Type == MessageType.Append)
            {
                FakePeer.Take(request, answer);
                return;
            }

            if (request.Type == MessageType.SnapshotEnd)
            {
                await installed.WaitAsync(token);
            }

            answer.Int64(1).Byte((byte)SnapshotAnswer.Accepted);
        });
}
