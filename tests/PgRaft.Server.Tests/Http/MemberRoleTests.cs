// What the page calls a member, by what this node knows of it.
using PgRaft.Consensus;
using PgRaft.Server.Hosting;
using PgRaft.Server.Http;

using Xunit;

namespace PgRaft.Server.Tests.Http;

public class MemberRoleTests
{
    private const long NowNs = 1000;

    private static readonly MemberAddress Self = new(1, "10.0.0.1", 7001);
    private static readonly MemberAddress Other = new(2, "10.0.0.2", 7002);

    [Theory]
    [InlineData(true, "replicate", "follower")]
    [InlineData(null, "replicate", "follower")]
    [InlineData(true, "probe", "catching up")]
    [InlineData(true, "snapshot", "catching up")]
    [InlineData(true, "unreachable", null)]
    [InlineData(null, "unreachable", null)]
    [InlineData(false, "unreachable", "not reachable")]
    public void A_leader_knows_who_follows_it(bool? isAlive, string state, string? role)
    {
        Assert.Equal(role, OnLeader(long.MaxValue, isAlive, state));
    }

    // Without the lease another member may lead them.
    [Theory]
    [InlineData(true, "replicate", null)]
    [InlineData(false, "unreachable", "not reachable")]
    public void A_leader_without_lease_knows_only_who_does_not_answer(
        bool? isAlive, string state, string? role)
    {
        Assert.Equal(role, OnLeader(1, isAlive, state));
    }

    [Theory]
    [InlineData(2, long.MaxValue, true, "leader")]
    [InlineData(2, 1, true, null)]
    [InlineData(3, long.MaxValue, true, null)]
    [InlineData(3, long.MaxValue, null, null)]
    [InlineData(0, 0L, false, "not reachable")]
    public void A_follower_knows_its_leader_and_who_did_not_answer(
        int leaderId, long deadlineNs, bool? isAlive, string? role)
    {
        var picture = Picture(new NodeStatus
        {
            Role = NodeRole.Follower,
            LeaderId = leaderId,
            LeaderDeadlineNs = deadlineNs,
        });

        Assert.Equal(
            role, MemberRole.Of(picture, false, new PeerView(Other, isAlive, 5), null));
        Assert.Equal(
            "follower", MemberRole.Of(picture, true, new PeerView(Self, true, null), null));
    }

    [Theory]
    [InlineData(true, "catching up")]
    [InlineData(false, null)]
    public void A_node_that_is_added_catches_up_while_it_answers(bool isActive, string? role)
    {
        Assert.Equal(role, MemberRole.OfJoining(
            new FollowerProgress(3, 0, 1, isActive, 9, null, "catching up")));
    }

    private static string? OnLeader(long leaseDeadlineNs, bool? isAlive, string state)
    {
        var picture = Picture(new NodeStatus
        {
            Role = NodeRole.Leader,
            LeaderId = 1,
            LeaseDeadlineNs = leaseDeadlineNs,
        });
        var progress = new FollowerProgress(2, 5, 6, state != "unreachable", 0, 5, state);
        return MemberRole.Of(picture, false, new PeerView(Other, isAlive, 5), progress);
    }

    private static NodePicture Picture(NodeStatus status) =>
        new(WorkerState.Running, string.Empty, status, new AnswerTimes(NowNs, 0, 0, 0, 0));
}
