// Short forms of membership changes for tests. Threading: no state. Failure: the node's.
namespace PgRaft.Consensus.Tests.Cluster;

internal static class MembershipExtensions
{
    /// <summary>Adds a member without following its progress.</summary>
    public static Task AddMemberAsync(
        this RaftNode node, MemberAddress member, CancellationToken token) =>
        node.AddMemberAsync(member, null, token);
}
