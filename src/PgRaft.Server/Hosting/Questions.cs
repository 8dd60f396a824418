// The three questions of a failover manager, answered from one picture of the node at one time: is
// there a quorum, who is alive, may this member act. shim/answers.c asks them of the same picture
// in shared memory, where nobody may be left to write another; both must say the same.
//
// A leader counts as known only while its lease, or to a follower its last sign of life, holds.
// That proves a majority. Its absence proves nothing: whether there is one is unknown then, not
// false. A member may act while it leads and its lease holds; that it may not is said only where it
// is certain. Between leaders it is not: another term may be won at any moment.
// Threading: pure functions. Failure: none.
using PgRaft.Consensus;

namespace PgRaft.Server.Hosting;

internal static class Questions
{
    /// <summary>Node id of the leader as far as it is known at a time; 0 = none.</summary>
    public static int LeaderId(NodeStatus node, long nowNs) =>
        nowNs < LeaderEndNs(node) ? node.LeaderId : 0;

    /// <summary>Until when the leader counts as known.</summary>
    public static long LeaderEndNs(NodeStatus node) => node.Role == NodeRole.Leader
        ? node.LeaseDeadlineNs
        : node.LeaderDeadlineNs;

    /// <summary>Whether this node leads and its lease holds.</summary>
    public static bool IsLeader(NodeStatus node, long nowNs) =>
        node.Role == NodeRole.Leader && LeaderId(node, nowNs) != 0;

    /// <summary>Whether a majority is there; null = this node cannot tell.</summary>
    public static bool? HasQuorum(WorkerState state, NodeStatus node, long nowNs) =>
        !Answers(state) ? null
        : LeaderId(node, nowNs) != 0 ? true
        : nowNs < node.NoQuorumDeadlineNs ? false
        : null;

    /// <summary>Members that answered lately; null = this node does not ask all of them.</summary>
    public static int? LiveMembers(WorkerState state, NodeStatus node, long nowNs) =>
        Answers(state) && (IsLeader(node, nowNs) || HasQuorum(state, node, nowNs) == false)
            ? node.LiveMembers
            : null;

    /// <summary>Whether this node may act as the leader; null = it is not certain that it may not.
    /// </summary>
    public static bool? MayAct(WorkerState state, NodeStatus node, long nowNs)
    {
        if (state == WorkerState.Starting)
            return null;
        if (state != WorkerState.Running || node.Role is NodeRole.Waiting or NodeRole.Passive)
            return false;
        if (IsLeader(node, nowNs))
            return true;
        bool isAnothers = LeaderId(node, nowNs) != 0;
        return isAnothers || HasQuorum(state, node, nowNs) == false ? false : null;
    }

    // Whether a worker in this state keeps its picture of the cluster.
    private static bool Answers(WorkerState state) =>
        state is WorkerState.Waiting or WorkerState.Running or WorkerState.Removed;
}
