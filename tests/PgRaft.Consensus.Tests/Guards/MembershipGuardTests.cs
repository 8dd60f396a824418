// Hazards 10 and 39: that members can be changed when one is missing, and what is said of a change
// whose entry another leader has replaced.
//
// Threading: one cluster a test. Failure: the deadline of a wait, with every node's state.
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class MembershipGuardTests
{
    // With a failure detector the engine would take its membership lock for the one that is
    // missing, and never give it back.
    [Fact]
    public async Task AMemberThatIsMissedForLongCanBeRemoved()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        int gone = followers[0].Address.NodeId;
        await followers[0].StopAsync();
        await cluster.UntilAsync(
            async () => (await cluster.LeaderAsync()).Node.GetReplication().Any(
                f => f.NodeId == gone && f.LastContactMs > 1500),
            "the stopped one to be missed");

        leader = await cluster.LeaderAsync();
        await leader.Node.RemoveMemberAsync(gone, TestCluster.Limit);

        Assert.DoesNotContain(gone, leader.Node.GetMembers().Select(m => m.Address.NodeId));
    }

    // The peer has the entry, and may commit it in a later term; here it is gone.
    [Fact]
    public async Task AChangeThatAnotherLeaderReplacedHereIsUnknown()
    {
        var sent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var peer = new ScriptedPeer
        {
            Votes = true,
            Appends = true,
            BeforeAppend = async (kinds, token) =>
            {
                if (kinds.Contains(EntryKind.Configuration))
                {
                    sent.TrySetResult();
                    await Task.Delay(Timeout.Infinite, token);
                }
            },
        };
        await using var fake = await FakePeer.StartAsync(peer.Answer);
        await using var cluster = new TestCluster { ElectionTimeout = 2000 };
        var node = cluster.Add(1);
        var three = node.Address with { NodeId = 3, Port = TestNode.FreePort() };
        cluster.Found([node.Address, fake.Address, three]);
        await node.StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync();

        var change = node.Node.RemoveMemberAsync(3, TestCluster.Limit);
        await sent.Task.WaitAsync(TestCluster.Limit);
        long index = node.Node.Status.LastIndex;
        long term = node.Node.Log.Term;
        await using var next = node.CallAs(2);
        await next.AppendAsync(
            term + 1, index - 1, term, new LogRecord(index, term + 1, EntryKind.Empty, default));

        var error = await Assert.ThrowsAsync<PgraftException>(() => change);
        Assert.Equal(StatusCode.OutcomeUnknown, error.Code);
        Assert.True(node.Node.Membership.Active.Contains(3));
    }

    // Hazard 39, whichever is first: that the change ends, or that its entry is replaced.
    [Fact]
    public async Task AConfigurationThatWasReplacedHasBeenAppendedAllTheSame()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        long before = fixture.Log.OwnConfigurations;
        Assert.NotNull(fixture.Log.ProposeConfiguration(
            1, Configuration.Found(7, [new MemberAddress(1, "10.0.1.11", 7001)])));

        fixture.Log.ObserveTerm(2);
        await fixture.ReceiveAsync(LogFixture.Record(1, 2));

        Assert.True(fixture.Configurations.Latest.Configuration.IsEmpty);
        Assert.NotEqual(before, fixture.Log.OwnConfigurations);
    }
}
