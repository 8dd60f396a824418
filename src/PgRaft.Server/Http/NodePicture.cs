// The node at one moment, and what may be concluded from it: the same conclusions for every path,
// so that no two of them contradict each other.
//
// A leader counts as known only while its lease, or to a follower its last sign of life, holds.
// That proves a majority. Its absence proves nothing: whether there is one is unknown then, not
// false.
// Threading: immutable. Failure: none.
using System.Diagnostics;
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;
using PgRaft.Server.Hosting;

namespace PgRaft.Server.Http;

/// <summary>A yes or no with its reason.</summary>
internal readonly record struct Verdict(bool Holds, string Reason);

internal sealed record NodePicture(WorkerState State, string Error, NodeStatus Node, long NowNs)
{
    public IReadOnlyList<LeadershipChange> History { get; init; } = [];

    /// <summary>Node id of the leader as far as it is known now; 0 = none.</summary>
    public int LeaderId => NowNs < DeadlineNs ? Node.LeaderId : 0;

    public bool IsLeader => Node.Role == NodeRole.Leader && LeaderId != 0;

    public bool IsFollower => Node.Role == NodeRole.Follower && LeaderId != 0;

    /// <summary>Whether a majority is there; null = this node cannot tell.</summary>
    public bool? HasQuorum => LeaderId != 0 ? true
        : NowNs < Node.NoQuorumDeadlineNs ? false
        : null;

    /// <summary>Members that answered lately; null = this node does not ask all of them.</summary>
    public int? LiveMembers => IsLeader || HasQuorum == false ? Node.LiveMembers : null;

    /// <summary>Whether this node may act as the leader, for a failover manager.</summary>
    public bool MayAct => State == WorkerState.Running && IsLeader;

    /// <summary>When role, term or leader last changed.</summary>
    public DateTimeOffset? Since => History.Count > 0 ? History[^1].At : null;

    private long DeadlineNs => Node.Role == NodeRole.Leader
        ? Node.LeaseDeadlineNs
        : Node.LeaderDeadlineNs;

    /// <summary>Now, on the clock of the deadlines.</summary>
    public static long Now() =>
        (long)(Stopwatch.GetTimestamp() * (1_000_000_000.0m / Stopwatch.Frequency));

    public Verdict Livez() => State is WorkerState.Error or WorkerState.Stopped
        ? new Verdict(false, Error.Length > 0 ? Error : "the node has stopped")
        : new Verdict(true, $"the worker is {Lower(State)}");

    public Verdict Readyz() => State != WorkerState.Running
        ? new Verdict(false, Error.Length > 0 ? Error : $"the worker is {Lower(State)}")
        : IsLeader ? new Verdict(true, "this node leads and holds the lease")
        : IsFollower ? new Verdict(true, $"this node follows node {Number(LeaderId)}")
        : new Verdict(false, WhyNoLeader());

    public Verdict Leader() => MayAct
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
