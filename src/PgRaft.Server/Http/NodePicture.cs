// The node at one moment, and what may be concluded from it: the same conclusions for every path,
// so that no two of them contradict each other, and the same as in SQL (Hosting/Questions.cs).
// Threading: immutable. Failure: none.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;
using PgRaft.Server.Hosting;

namespace PgRaft.Server.Http;

/// <summary>A yes or no with its reason.</summary>
internal readonly record struct Verdict(bool Holds, string Reason);

internal sealed record NodePicture(
    WorkerState State, string Error, NodeStatus Node, AnswerTimes Times)
{
    public IReadOnlyList<LeadershipChange> History { get; init; } = [];

    /// <summary>When this was true, on the clock of the deadlines.</summary>
    public long NowNs => Times.WrittenNs;

    /// <summary>Node id of the leader as far as it is known now; 0 = none.</summary>
    public int LeaderId => Questions.LeaderId(Node, NowNs);

    public bool IsLeader => Questions.IsLeader(Node, NowNs);

    public bool IsFollower => Node.Role == NodeRole.Follower && LeaderId != 0;

    /// <summary>Whether a majority is there; null = this node cannot tell.</summary>
    public bool? HasQuorum => Questions.HasQuorum(State, Node, NowNs);

    /// <summary>Members that answered lately; null = this node does not ask all of them.</summary>
    public int? LiveMembers => Questions.LiveMembers(State, Node, NowNs);

    /// <summary>Whether this node may act as the leader, for a failover manager; null = it is not
    /// certain that it may not.</summary>
    public bool? MayAct => Questions.MayAct(State, Node, NowNs);

    /// <summary>When role, term or leader last changed.</summary>
    public DateTimeOffset? Since => History.Count > 0 ? History[^1].At : null;

    public Verdict Livez() => State is WorkerState.Error or WorkerState.Stopped
        ? new Verdict(false, Error.Length > 0 ? Error : "the node has stopped")
        : new Verdict(true, $"the worker is {Lower(State)}");

    public Verdict Readyz() => State != WorkerState.Running
        ? new Verdict(false, Error.Length > 0 ? Error : $"the worker is {Lower(State)}")
        : IsLeader ? new Verdict(true, "this node leads and holds the lease")
        : IsFollower ? new Verdict(true, $"this node follows node {Number(LeaderId)}")
        : new Verdict(false, WhyNoLeader());

    public Verdict Leader() => MayAct == true
        ? new Verdict(true, "this node leads and holds the lease")
        : new Verdict(false, LeaderId != 0 && !IsLeader
            ? $"node {Number(LeaderId)} leads"
            : WhyNoLeader());

    public Verdict Follower() => State == WorkerState.Running && IsFollower
        ? new Verdict(true, $"this node follows node {Number(LeaderId)}")
        : new Verdict(false, IsLeader ? "this node leads" : WhyNoLeader());

    public static string Lower<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    private string WhyNoLeader() => State != WorkerState.Running
        ? $"the worker is {Lower(State)}"
        : Node.Role switch
        {
            NodeRole.Leader => "this node leads, but its lease has run out",
            NodeRole.Passive => "this node is not a voter",
            NodeRole.Candidate => "this node stands for election",
            _ => "this node knows no leader",
        };

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}
