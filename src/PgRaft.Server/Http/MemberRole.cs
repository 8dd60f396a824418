// The role of a member as far as this node knows it; null = it does not. A member says its role to
// nobody, so that of another follows from what it does: it leads while this node hears it as the
// leader, and it follows while it acknowledges the entries of this node, which leads.
// Threading: pure. Failure: none.
using PgRaft.Consensus;

namespace PgRaft.Server.Http;

internal static class MemberRole
{
    private const string NotReachable = "not reachable";
    private const string CatchingUp = "catching up";

    /// <summary>Of a member of the committed configuration.</summary>
    /// <param name="picture">This node.</param>
    /// <param name="isSelf">Whether it is this node.</param>
    /// <param name="peer">How this node has heard it.</param>
    /// <param name="progress">Of a follower, on the leader.</param>
    public static string? Of(
        NodePicture picture, bool isSelf, PeerView peer, FollowerProgress? progress) =>
        isSelf ? NodePicture.Lower(picture.Node.Role)
        : peer.Address.NodeId == picture.LeaderId ? NodePicture.Lower(NodeRole.Leader)
        : peer.IsAlive == false ? NotReachable
        : picture.IsLeader && progress is { IsActive: true } ? Follows(progress)
        : null;

    /// <summary>Of a node that is being added, on the leader.</summary>
    public static string? OfJoining(FollowerProgress progress) =>
        progress.IsActive ? CatchingUp : null;

    // A voter that needs a snapshot, or whose log has not been matched yet, follows too.
    private static string Follows(FollowerProgress progress) =>
        progress.State == "replicate" ? NodePicture.Lower(NodeRole.Follower) : CatchingUp;
}
