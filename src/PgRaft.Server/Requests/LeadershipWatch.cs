// Lets a request wait for the node's status to change, and remembers since when no leader is known.
// Threading: any number of waiters; the node's event swaps one completion source, and costs nothing
// while nobody waits. Failure: a waiter's token ends its wait with OperationCanceledException.
using System.Diagnostics;

using PgRaft.Consensus;

namespace PgRaft.Server.Requests;

internal sealed class LeadershipWatch : IDisposable
{
    private readonly IRaftNode _node;
    private TaskCompletionSource? _changed;
    private Reign _reign;
    private long _leaderlessSince = Stopwatch.GetTimestamp();

    public LeadershipWatch(IRaftNode node)
    {
        _node = node;
        _reign = Reign.Of(node.LeaderId);
        node.StatusChanged += OnStatusChanged;
    }

    public NodeStatus Status => _node.Status;

    /// <summary>How long no leader has been known; zero while one is.</summary>
    public TimeSpan LeaderlessFor
    {
        get
        {
            var status = _node.Status;
            if (status.LeaderId != 0)
                return SilentFor(status);
            long since = Interlocked.Read(ref _leaderlessSince);
            return since == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(since);
        }
    }

    /// <summary>Is cancelled once another leader is known than now.</summary>
    public CancellationToken Superseded => Volatile.Read(ref _reign).Ended;

    /// <summary>Waits until leadership is not what it was, or was confirmed since: the only
    /// reasons to hope that what has just failed will now succeed.</summary>
    public Task WaitForChangeAsync(NodeStatus seen, CancellationToken token) =>
        WaitAsync(now => !IsSameLeadership(now, seen), token);

    public void Dispose() => _node.StatusChanged -= OnStatusChanged;

    private async Task WaitAsync(Predicate<NodeStatus> condition, CancellationToken token)
    {
        while (true)
        {
            // Taken before the status is read, so that a change in between is not missed.
            var changed = NextChange();
            if (condition(_node.Status))
                return;
            await changed.WaitAsync(token).ConfigureAwait(false);
        }
    }

    private Task NextChange()
    {
        var waiting = Volatile.Read(ref _changed);
        if (waiting is not null)
            return waiting.Task;
        var fresh = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return (Interlocked.CompareExchange(ref _changed, fresh, null) ?? fresh).Task;
    }

    private void OnStatusChanged()
    {
        // Comes with every batch that is applied, so it must cost next to nothing.
        int leaderId = _node.LeaderId;
        bool isLeaderless = leaderId == 0;
        if (isLeaderless != (Interlocked.Read(ref _leaderlessSince) != 0))
        {
            Interlocked.Exchange(
                ref _leaderlessSince, isLeaderless ? Stopwatch.GetTimestamp() : 0);
        }

        if (_reign.IsEndedBy(leaderId))
            Interlocked.Exchange(ref _reign, Reign.Of(leaderId)).End();
        if (Volatile.Read(ref _changed) is not null)
            Interlocked.Exchange(ref _changed, null)?.TrySetResult();
    }

    /// <summary>A leader's time, until another is known: a silent one still counts.</summary>
    private sealed class Reign(int leaderId, CancellationTokenSource ended)
    {
        public CancellationToken Ended => ended.Token;

        public static Reign Of(int leaderId) => new(leaderId, new CancellationTokenSource());

        public bool IsEndedBy(int nowLeaderId) => nowLeaderId != 0 && nowLeaderId != leaderId;

        // Off the thread that raised the event. Not disposed: it holds no timer, and whoever has
        // its token may still link to it.
        public void End() => _ = ended.CancelAsync();
    }

    private static bool IsSameLeadership(NodeStatus a, NodeStatus b) =>
        a.Term == b.Term && a.LeaderId == b.LeaderId && a.Role == b.Role
        && a.LeaseDeadlineNs == b.LeaseDeadlineNs && a.LeaderDeadlineNs == b.LeaderDeadlineNs;

    private static TimeSpan SilentFor(NodeStatus status)
    {
        long now = Stopwatch.GetTimestamp();
        return status.Role == NodeRole.Follower && status.LeaderDeadlineNs < now
            ? Stopwatch.GetElapsedTime(status.LeaderDeadlineNs, now)
            : TimeSpan.Zero;
    }
}
