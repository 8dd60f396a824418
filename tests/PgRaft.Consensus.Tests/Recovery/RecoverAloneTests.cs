// A member that goes on alone: what it keeps, when it refuses to, whom it no longer listens to, and
// what a power failure in any step leaves.
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Consensus.Tests.Guards;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Recovery;

[Collection(FaultCollection.Name)]
public sealed class RecoverAloneTests
{
    private const int MaxSteps = 400;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task TheSurvivorGoesOnWithEverythingItHas()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var survivor = await SurvivorAsync(cluster, keys: 10);
        long term = survivor.Node.Status.Term;

        var result = await survivor.Node.RecoverAloneAsync(TestCluster.Limit);

        Assert.Equal(2, result.LostMembers);
        Assert.Equal(NodeRole.Leader, survivor.Node.Status.Role);
        Assert.True(survivor.Node.Status.Term > term + 1000);
        Assert.Equal(1, survivor.Node.Status.Members);
        Assert.Equal("value 10", survivor.Get("key 10"));
        await survivor.PutAsync("alone", "it", TestCluster.Limit);

        await survivor.StopAsync();
        await survivor.StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync();
        Assert.Equal("it", survivor.Get("alone"));
        Assert.Equal(1, survivor.Node.Status.Members);
    }

    [Fact]
    public async Task EntriesThatWereNotKnownCommittedAreKept()
    {
        await using var cluster = Stranded(PhysicalIo.Instance);
        await StrandAsync(cluster);

        var result = await cluster[1].Node.RecoverAloneAsync(TestCluster.Limit);

        Assert.Equal((1, 3), (result.CommitIndex, result.LastIndex));
        Assert.True(cluster[1].Node.Status.CommitIndex > 3);
        Assert.Equal(5, cluster[1].Node.Log.TermAt(3));
    }

    [Fact]
    public async Task ThoseLeftBehindCannotDisturbWhenTheyComeBack()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var survivor = await SurvivorAsync(cluster, keys: 1);
        await survivor.Node.RecoverAloneAsync(TestCluster.Limit);
        long term = survivor.Node.Status.Term;
        long founding = survivor.Node.FoundingId;

        // They are a majority of what was, and elect a leader among themselves.
        var lost = cluster.Nodes.Where(n => n != survivor).ToArray();
        await Task.WhenAll(lost.Select(n => n.StartAsync(TestCluster.Limit)));
        await cluster.UntilAsync(
            () => lost.Any(n => n.Node.Status.Role == NodeRole.Leader), "the old ones to elect");
        await survivor.PutAsync("mine", "it", TestCluster.Limit);

        Assert.All(lost, n => Assert.NotEqual(founding, n.Node.FoundingId));
        Assert.All(lost, n => Assert.Null(n.Get("mine")));
        Assert.Equal(NodeRole.Leader, survivor.Node.Status.Role);
        Assert.Equal(term, survivor.Node.Status.Term);
        var refused = await Assert.ThrowsAsync<PgraftException>(() => survivor.Node
            .AddMemberAsync(lost[0].Address, new CancellationTokenSource(1000).Token));
        Assert.Contains("separate clusters", refused.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AConnectionFromBeforeIsOfNoUseAfterwards()
    {
        await using var cluster = Stranded(PhysicalIo.Instance);
        await StrandAsync(cluster);
        await using var channel = cluster[1].CallAs(2);
        await channel.CallAsync(
            MessageType.Report, new FrameWriter(), Patience, TestCluster.Limit);

        await cluster[1].Node.RecoverAloneAsync(TestCluster.Limit);

        long term = cluster[1].Node.Status.Term;
        await Assert.ThrowsAsync<PeerUnavailableException>(() => channel.CallAsync(
            MessageType.Append,
            new FrameWriter().Int64(term + 9).Int64(0).Int64(0).Int64(0).Int32(0), Patience,
            TestCluster.Limit));
        Assert.Equal(term, cluster[1].Node.Status.Term);
        Assert.Equal(NodeRole.Leader, cluster[1].Node.Status.Role);
    }

    [Fact]
    public async Task ANewServerMayHaveALostMembersIdAndAnotherAddress()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var survivor = await SurvivorAsync(cluster, keys: 3);
        int id = cluster.Nodes.First(n => n != survivor).Address.NodeId;
        await survivor.Node.RecoverAloneAsync(TestCluster.Limit);
        await using var other = new TestCluster();
        var successor = other.Add(
            other.Prepare(id, PhysicalIo.Instance, TimeProvider.System, founding: false));
        await successor.StartAsync(TestCluster.Limit);

        await survivor.Node.AddMemberAsync(successor.Address, TestCluster.Limit);

        await cluster.UntilAsync(() => successor.Get("key 3") == "value 3", "it to catch up");
    }

    [Fact]
    public async Task ALeaderRefuses()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await RefusedAsync(cluster[1], "this node leads it");
    }

    [Fact]
    public async Task ALeaderThatHasLostItsMajorityMayGoOnAloneAtOnce()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        await cluster.PutAsync("k", "v");
        var (leader, followers) = await cluster.RolesAsync();
        await Task.WhenAll(followers.Select(f => f.StopAsync()));
        await cluster.UntilAsync(
            () => leader.Node.Status.LeaseDeadlineNs
                < LeaderLease.ToNs(TimeProvider.System.GetTimestamp()),
            "the lease to end");
        await leader.Node.RecoverAloneAsync(TestCluster.Limit);
        await leader.PutAsync("alone", "it", TestCluster.Limit);
        Assert.Equal(1, leader.Node.Status.Members);
    }

    [Fact]
    public async Task AFollowerOfALeaderRefuses()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        await cluster.UntilAsync(() => followers[0].Node.LeaderId != 0, "it to know its leader");
        await RefusedAsync(followers[0], $"node {leader.Address.NodeId} leads it");
    }

    [Fact]
    public async Task AMajorityThatAnswersIsNotLeft()
    {
        await using var peer = await FakePeer.StartAsync(Answer(leaderId: 0, lastIndex: 0));
        await using var cluster = Stranded(PhysicalIo.Instance, peer.Address);
        await StrandAsync(cluster);
        await RefusedAsync(cluster[1], "a majority of the members answers");
    }

    // Another version, say: it is there, whatever it makes of the question.
    [Fact]
    public async Task AMemberThatSaysHelloAndNothingElseIsThere()
    {
        await using var peer = await FakePeer.StartAsync(
            (_, _, _) => throw new InvalidDataException("Unknown message type 11."));
        await using var cluster = Stranded(PhysicalIo.Instance, peer.Address);
        await StrandAsync(cluster);
        await RefusedAsync(cluster[1], "a majority of the members answers");
    }

    [Fact]
    public async Task AMemberThatKnowsALeaderIsBelieved()
    {
        await using var peer = await FakePeer.StartAsync(Answer(leaderId: 4, lastIndex: 0));
        await using var cluster = Stranded(PhysicalIo.Instance, peer.Address, members: 5);
        await StrandAsync(cluster);
        await RefusedAsync(cluster[1], "node 4 leads it");
    }

    [Fact]
    public async Task AMemberWithANewerLogIsTheOneToGoOn()
    {
        await using var peer = await FakePeer.StartAsync(Answer(leaderId: 0, lastIndex: 4));
        await using var cluster = Stranded(PhysicalIo.Instance, peer.Address, members: 5);
        await StrandAsync(cluster);
        await RefusedAsync(cluster[1], "node 2 has a newer log");
    }

    [Fact]
    public async Task AMinorityWithOlderLogsIsLeft()
    {
        await using var peer = await FakePeer.StartAsync(Answer(leaderId: 0, lastIndex: 3));
        await using var cluster = Stranded(PhysicalIo.Instance, peer.Address, members: 5);
        await StrandAsync(cluster);
        Assert.Equal(
            4, (await cluster[1].Node.RecoverAloneAsync(TestCluster.Limit)).LostMembers);
    }

    [Fact]
    public async Task ANodeWithoutAClusterRefuses()
    {
        await using var cluster = new TestCluster();
        cluster.Add(cluster.Prepare(1, PhysicalIo.Instance, TimeProvider.System, founding: false));
        await cluster[1].StartAsync(TestCluster.Limit);
        await RefusedAsync(cluster[1], "belongs to no cluster");
    }

    [Fact]
    public async Task ARemovedMemberRefuses()
    {
        await using var cluster = Stranded(PhysicalIo.Instance);
        await StrandAsync(cluster, lastEntry: c => ((Configuration)c.Remove(c.Find(1)!)).Bytes);
        Assert.Equal(NodeRole.Passive, cluster[1].Node.Status.Role);
        await RefusedAsync(cluster[1], "not a member in the last configuration");
    }

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Everything)]
    [InlineData(Survival.Random)]
    internal async Task APowerFailureLeavesTheOldConfigurationOrTheNew(Survival survival)
    {
        bool[] seen = [false, false];
        for (int step = 1; step < MaxSteps; step++)
        {
            var disk = new SimulatedDisk();
            await using var cluster = Stranded(disk);
            await StrandAsync(cluster);
            long founding = cluster[1].Node.FoundingId;
            long term = cluster[1].Node.Status.Term;
            disk.PowerOffAtStep = disk.Steps + step;
            bool returned = await UntilPowerFails.RunAsync(
                cluster[1], disk, n => n.RecoverAloneAsync(TestCluster.Limit));
            bool finished = !disk.IsOff;
            await cluster[1].StopAsync();
            cluster[1].Io = disk.Reboot(survival, new Random(step));
            await cluster[1].StartAsync(TestCluster.Limit);

            bool isNew = cluster[1].Node.FoundingId != founding;
            Assert.True(isNew || !returned, $"step {step}: it is gone");
            seen[isNew ? 1 : 0] = true;
            await RequireOldOrNewAsync(cluster, isNew, term);
            if (finished)
            {
                Assert.Equal([true, true], seen);
                return;
            }
        }

        Assert.Fail("recovering never ended");
    }

    private static async Task RequireOldOrNewAsync(TestCluster cluster, bool isNew, long term)
    {
        var node = cluster[1].Node;
        Assert.True(node.Log.Term >= term);
        Assert.Equal(5, node.Log.TermAt(3));
        Assert.Equal(
            isNew ? [1] : [1, 2, 3], node.Membership.Active.Addresses.Select(a => a.NodeId));
        if (isNew)
        {
            await cluster.LeaderAsync();
            await cluster[1].PutAsync("k", "v", TestCluster.Limit);
        }
        else
        {
            Assert.Equal(3, node.Log.Records.LastIndex);
            await cluster[1].Node.RecoverAloneAsync(TestCluster.Limit);
        }
    }

    // Two of three are gone; the last one has what was acknowledged.
    private static async Task<TestNode> SurvivorAsync(TestCluster cluster, int keys)
    {
        for (int i = 1; i <= keys; i++)
        {
            await cluster.PutAsync($"key {i}", $"value {i}");
        }

        await cluster.AgreeAsync();
        var (leader, followers) = await cluster.RolesAsync();
        await Task.WhenAll(leader.StopAsync(), followers[1].StopAsync());
        await cluster.UntilAsync(() => followers[0].Node.LeaderId == 0, "the leader to be missed");
        return followers[0];
    }

    private static TestCluster Stranded(
        IStorageIo io, MemberAddress? second = null, int members = 3)
    {
        var cluster = new TestCluster { ElectionTimeout = 100 };
        var node = cluster.Add(cluster.Prepare(1, io, TimeProvider.System, founding: true));
        cluster.Found([.. Enumerable.Range(1, members).Select(
            id => id == 1 ? node.Address
                : id == 2 && second is not null ? second
                : new MemberAddress(id, "127.0.0.1", id))]);
        return cluster;
    }

    // A leader of term 5 sends three entries, says that one is committed, and is never heard again.
    private static async Task StrandAsync(
        TestCluster cluster, Func<Configuration, ReadOnlyMemory<byte>>? lastEntry = null)
    {
        await cluster[1].StartAsync(TestCluster.Limit);
        await using var channel = cluster[1].CallAs(3);
        var request = new FrameWriter().Int64(5).Int64(0).Int64(0).Int64(1).Int32(3);
        for (int i = 0; i < 2; i++)
        {
            request.Int64(5).Byte((byte)EntryKind.Command).Bytes([]);
        }

        var kind = lastEntry is null ? EntryKind.Command : EntryKind.Configuration;
        var content = lastEntry?.Invoke(cluster[1].Node.Membership.Active) ?? default;
        request.Int64(5).Byte((byte)kind).Bytes(content.Span);
        await channel.CallAsync(MessageType.Append, request, Patience, TestCluster.Limit);
        await cluster.UntilAsync(
            () => cluster[1].Node.LeaderId == 0 && cluster[1].Node.Status.CommitIndex == 1,
            "the leader to be missed");
    }

    private static Func<Frame, FrameWriter, CancellationToken, ValueTask> Answer(
        int leaderId, long lastIndex) =>
        (request, answer, _) =>
        {
            if (request.Type == MessageType.Report)
            {
                answer.Int64(5).Int32(leaderId).Int64(0).Int64(lastIndex).Int64(5);
            }
            else
            {
                // No vote, and no news of another term.
                answer.Int64(0).Byte(0);
            }

            return ValueTask.CompletedTask;
        };

    private static async Task RefusedAsync(TestNode node, string reason)
    {
        long founding = node.Node.FoundingId;
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => node.Node.RecoverAloneAsync(TestCluster.Limit));
        Assert.True(error.Code == StatusCode.WrongState, error.ToString());
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.NotNull(error.Hint);
        Assert.Equal(founding, node.Node.FoundingId);
    }
}
