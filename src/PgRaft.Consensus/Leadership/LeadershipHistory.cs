// The last changes of role, term and leader on this node, with the reason as this node knows it.
// Kept in memory: a restart begins anew, and says so with its first entry.
// Threading: any thread; one lock, memory work only. Failure: none.
using PgRaft.Consensus.Metrics;

namespace PgRaft.Consensus.Leadership;

/// <summary>A change of this node's role, term or leader.</summary>
/// <param name="At">When it was noticed here.</param>
/// <param name="Role">Role since.</param>
/// <param name="Term">Term since.</param>
/// <param name="LeaderId">Leader this node knows since; 0 = none.</param>
/// <param name="Cause">Why, as far as this node can tell.</param>
public sealed record LeadershipChange(
    DateTimeOffset At, NodeRole Role, long Term, int LeaderId, string Cause);

/// <summary>The newest changes, oldest first.</summary>
internal sealed class LeadershipHistory(TimeProvider clock, NodeMeters meters)
{
    /// <summary>So many are kept.</summary>
    public const int Capacity = 100;

    private readonly Lock _gate = new();
    private readonly Queue<LeadershipChange> _changes = new(Capacity);
    private LeadershipChange? _last;
    private string? _reason;

    /// <summary>The cause where a later term ends a leadership.</summary>
    public static string BegunByAnother(long term) => $"another member began term {term}";

    /// <summary>The reason of the next change, for who knows it before it shows.</summary>
    public void Expect(string reason)
    {
        lock (_gate)
        {
            _reason = reason;
        }
    }

    /// <summary>Takes note of what is true now; does nothing when that is not new.</summary>
    /// <returns>Whether another leader is known than before.</returns>
    public bool Note(Func<(NodeRole Role, long Term, int LeaderId)> look)
    {
        lock (_gate)
        {
            // Under the lock: an older look must not follow a newer one.
            var (role, term, leaderId) = look();
            if (_last is { } last && last.Role == role && last.Term == term
                && last.LeaderId == leaderId)
            {
                return false;
            }

            bool isOtherLeader = leaderId != 0 && leaderId != _last?.LeaderId;
            string cause = CauseOf(_last, role, term, leaderId);
            if (role == NodeRole.Leader && _last?.Role != NodeRole.Leader)
            {
                // What was expected of the candidate is no reason for the leader's end.
                _reason = null;
            }

            _last = new LeadershipChange(clock.GetUtcNow(), role, term, leaderId, cause);
            if (_changes.Count == Capacity)
            {
                _changes.Dequeue();
            }

            _changes.Enqueue(_last);
            meters.RoleChanges.Increment();
            return isOtherLeader;
        }
    }

    /// <summary>What is kept, oldest first.</summary>
    public LeadershipChange[] ToArray()
    {
        lock (_gate)
        {
            return [.. _changes];
        }
    }

    private string CauseOf(LeadershipChange? before, NodeRole role, long term, int leaderId)
    {
        bool isReasonOfThis = before?.Role == NodeRole.Leader || role == NodeRole.Candidate;
        if (isReasonOfThis && _reason is { } reason)
        {
            _reason = null;
            return reason;
        }

        return before is null ? "the node started"
            : before.Role == NodeRole.Leader && term > before.Term
                ? BegunByAnother(term)
            : role != before.Role ? RoleCause(before.Role, role, leaderId)
            : leaderId != before.LeaderId ? LeaderCause(before.LeaderId, leaderId)
            : role == NodeRole.Candidate ? "an election without a winner: this node stands again"
            : "another member stands for election";
    }

    private static string RoleCause(NodeRole before, NodeRole role, int leaderId) => role switch
    {
        NodeRole.Leader => "this node won the election",
        NodeRole.Candidate => "heard of no leader within the election timeout",
        NodeRole.Waiting => "the node holds no configuration",
        NodeRole.Passive => "the node is not a voter of the configuration",
        _ when before == NodeRole.Leader => "this node's leadership ended",
        _ when before != NodeRole.Candidate => "the node is a voter of the configuration",
        _ when leaderId != 0 => $"node {leaderId} won the election",
        _ => "the election was lost",
    };

    private static string LeaderCause(int before, int leaderId) => leaderId == 0
        ? $"no sign of life of node {before} within the election timeout"
        : $"node {leaderId} leads";
}
