// Whom this node takes for the leader, and its own role, put together from what it sees: accepted
// appends, its own elections, its own leadership.
// Threading: any thread; one lock, memory work only. Failure: none.
using PgRaft.Core;

namespace PgRaft.Consensus.Leadership;

/// <summary>Own leadership of one term.</summary>
/// <param name="Term">The term.</param>
/// <param name="Ended">Cancelled when it is over.</param>
internal sealed record Tenure(long Term, CancellationToken Ended);

/// <summary>The node's view of who leads.</summary>
internal sealed class LeaderView(int nodeId, int electionTimeoutMs, TimeProvider clock)
{
    private readonly Lock _gate = new();
    private long _leaderTerm;
    private int _leaderId;
    private long _leaderSeenAt;
    private bool _candidate;
    private Tenure? _tenure;
    private long _version;
    private TaskCompletionSource _nextChange = NewChange();

    /// <summary>Raised when the leader or the role changed; must not block.</summary>
    public event Action? Changed;

    /// <summary>This node's leadership; null when it does not lead.</summary>
    public Tenure? Tenure => Volatile.Read(ref _tenure);

    /// <summary>Whether this node leads a term. A later one of its log it does not, although the
    /// engine takes a moment to end the leadership of the old (hazard 29).</summary>
    public bool Leads(long term) => Tenure?.Term == term;

    /// <summary>Grows with every change; see <see cref="WaitChangeAsync"/>.</summary>
    public long Version => Volatile.Read(ref _version);

    /// <summary>Whether this node stands for election.</summary>
    public bool IsCandidate => Volatile.Read(ref _candidate);

    /// <summary>The node known to lead or to have led a term; 0 = not known.</summary>
    public int LeaderOf(long term)
    {
        lock (_gate)
        {
            return _leaderTerm == term ? _leaderId : 0;
        }
    }

    /// <summary>Who is known to lead, or to have led, the newest term after one; 0 = nobody.
    /// </summary>
    public int LeaderAfter(long term)
    {
        lock (_gate)
        {
            return _leaderTerm > term ? _leaderId : 0;
        }
    }

    /// <summary>The leader in <paramref name="term"/>, while it is in contact; 0 = none.</summary>
    /// <param name="term">The current term.</param>
    /// <param name="deadlineNs">Until when it counts as known; 0 for this node itself or
    /// none.</param>
    public int Current(long term, out long deadlineNs)
    {
        deadlineNs = 0;
        lock (_gate)
        {
            if (_tenure?.Term == term)
            {
                return nodeId;
            }

            if (_leaderTerm != term || _leaderId == nodeId || _leaderId == 0)
            {
                return 0;
            }

            deadlineNs = LeaderLease.ToNs(_leaderSeenAt) + (electionTimeoutMs * 1_000_000L);
            return LeaderLease.ToNs(clock.GetTimestamp()) < deadlineNs ? _leaderId : 0;
        }
    }

    /// <summary>An append or a piece of a snapshot of a leader was accepted.</summary>
    public void LeaderSeen(long term, int leaderId)
    {
        lock (_gate)
        {
            if (term < _leaderTerm)
            {
                return;
            }

            _leaderTerm = term;
            _leaderId = leaderId;
            _leaderSeenAt = clock.GetTimestamp();
            _candidate = false;
        }

        RaiseChanged();
    }

    /// <summary>This node began to stand for election, or stopped.</summary>
    public void Standing(bool candidate)
    {
        lock (_gate)
        {
            if (_candidate == candidate)
            {
                return;
            }

            _candidate = candidate;
        }

        RaiseChanged();
    }

    /// <summary>This node leads; its first entry of the term is committed.</summary>
    public void Elected(Tenure tenure)
    {
        lock (_gate)
        {
            Invariants.ElectionSafety(
                nodeId, tenure.Term, _leaderTerm == tenure.Term ? _leaderId : 0);

            _leaderTerm = tenure.Term;
            _leaderId = nodeId;
            _candidate = false;
            _tenure = tenure;
        }

        RaiseChanged();
    }

    /// <summary>This node's leadership is over.</summary>
    public void Deposed(Tenure tenure)
    {
        lock (_gate)
        {
            if (_tenure != tenure)
            {
                return;
            }

            _tenure = null;
        }

        RaiseChanged();
    }

    /// <summary>
    /// Waits until the view is newer than a version that was read before looking at it.
    /// </summary>
    public Task WaitChangeAsync(long version, CancellationToken token)
    {
        lock (_gate)
        {
            return _version != version ? Task.CompletedTask : _nextChange.Task.WaitAsync(token);
        }
    }

    /// <summary>The error for whatever only a leader can do.</summary>
    public PgraftException NotLeader(long term, MemberAddress? leader) => new(
        StatusCode.NotLeader, "this node is not the leader",
        Current(term, out _) == 0 ? "This node knows no leader at the moment." : null,
        leader is null
            ? null
            : $"Run it on the leader: node {leader.NodeId} at {leader.Host}:{leader.Port}.");

    private static TaskCompletionSource NewChange() =>
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void RaiseChanged()
    {
        TaskCompletionSource waiting;
        lock (_gate)
        {
            _version++;
            waiting = _nextChange;
            _nextChange = NewChange();
        }

        waiting.TrySetResult();
        Changed?.Invoke();
    }
}
