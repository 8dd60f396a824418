// The errors that say where the leader is, or why there is none: the same words for every request.
// Threading: any thread; pictures of the node's state now. Failure: none.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;

namespace PgRaft.Server.Requests;

internal sealed class ClusterErrors(IRaftNode node, LeadershipWatch watch, int selfId)
{
    private const string MajorityHint =
        "A leader needs a majority of the members; check that they run and reach each other.";

    /// <summary>Throws unless the node holds a configuration and has not been removed.</summary>
    public void RequireCluster()
    {
        var status = node.Status;
        if (RemovedFrom(status) is { } removed)
            throw removed;
        if (status.Role == NodeRole.Waiting)
        {
            throw new PgraftException(
                StatusCode.WrongState,
                "this node belongs to no cluster yet",
                null,
                "Found one with pgraft_init(), or let the leader of a cluster add this node with "
                    + "pgraft_add_node().");
        }
    }

    /// <summary>The error of a node that was removed from its cluster; null = it was not.</summary>
    public static PgraftException? RemovedFrom(NodeStatus status) => status.RemovedIndex == 0
        ? null
        : new PgraftException(
            StatusCode.WrongState,
            "this node was removed from the cluster",
            string.Create(
                CultureInfo.InvariantCulture, $"As of log index {status.RemovedIndex}."),
            "Use another member. To bring this node back, add it on the leader with "
                + "pgraft_add_node().");

    /// <summary>Throws unless this node leads.</summary>
    public void RequireLeader(string action)
    {
        if (node.Status.Role != NodeRole.Leader)
            throw NeedsLeader(action);
    }

    /// <summary>The error for what only a leader can do: where it is, or why there is none.
    /// </summary>
    public PgraftException NeedsLeader(string action) => FindLeader() is null
        ? new PgraftException(
            StatusCode.NoLeader,
            $"cannot {action} - the cluster has no leader",
            Report(),
            MajorityHint)
        : NotLeader(action);

    public PgraftException NotLeader(string action)
    {
        var leader = FindLeader();
        return new PgraftException(
            StatusCode.NotLeader,
            $"cannot {action} - this node is not the leader",
            leader is null ? Report() : null,
            leader is null ? null : $"Run it on the leader: {Describe(leader)}.");
    }

    public PgraftException NoLeader() => new(
        StatusCode.NoLeader,
        "the cluster has no leader",
        Report(),
        MajorityHint);

    public PgraftException ReadTimedOut(int timeoutMs)
    {
        if (node.Status.LeaderId == 0)
            return NoLeader();
        string message = string.Create(
            CultureInfo.InvariantCulture,
            $"no majority of the members confirmed the read within {timeoutMs} ms");
        return new PgraftException(StatusCode.TimedOut, message, Report());
    }

    /// <summary>Since when no leader is known, and how many members answer.</summary>
    public string Report()
    {
        var leaderless = watch.LeaderlessFor;
        string since = leaderless > TimeSpan.Zero
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"No leader known for {leaderless.TotalSeconds:0.0} s; ")
            : string.Empty;
        return since + Answering();
    }

    private string Answering()
    {
        var members = node.GetMembers();
        int answering = members.Count(m => m.Address.NodeId == selfId || m.IsActive == true);
        int unknown = members.Count(m => m.Address.NodeId != selfId && m.IsActive is null);
        string text = string.Create(
            CultureInfo.InvariantCulture, $"{answering} of {members.Count} members answer");
        return unknown == 0
            ? text + "."
            : string.Create(
                CultureInfo.InvariantCulture, $"{text}, {unknown} cannot be judged from here.");
    }

    private MemberAddress? FindLeader()
    {
        int leaderId = node.Status.LeaderId;
        return leaderId == 0 || leaderId == selfId
            ? null
            : node.GetMembers().FirstOrDefault(m => m.Address.NodeId == leaderId)?.Address;
    }

    private static string Describe(MemberAddress member)
    {
        string host = member.Host.Contains(':', StringComparison.Ordinal)
            ? $"[{member.Host}]"
            : member.Host;
        return string.Create(
            CultureInfo.InvariantCulture, $"node {member.NodeId} at {host}:{member.Port}");
    }
}
