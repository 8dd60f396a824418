// The tasks that watch every member for the whole run: who holds the lease, what is in the log.
// Threading: two tasks a member. Failure: theirs is shown when they are stopped.

using PgRaft.Chaos.Nodes;
using PgRaft.Harness;

namespace PgRaft.Chaos.Checks;

internal sealed class Observers : IAsyncDisposable
{
    private static readonly TimeSpan CatchUpLimit = TimeSpan.FromSeconds(60);

    private readonly CancellationTokenSource _stop = new();
    private readonly IReadOnlyList<LogReader> _readers;
    private readonly LogAudit _audit;
    private readonly Task _tasks;

    public Observers(ChaosCluster cluster, LeaseCheck lease, LogAudit audit)
    {
        _audit = audit;
        _readers = [.. cluster.Nodes.Select(n => new LogReader(n, audit))];
        var pollers = cluster.Nodes.Select(n => new LeaderPoller(cluster, n, lease));
        _tasks = Task.WhenAll([
            .. _readers.Select(r => Task.Run(() => r.RunAsync(_stop.Token))),
            .. pollers.Select(p => Task.Run(() => p.RunAsync(_stop.Token))),
        ]);
    }

    /// <summary>Waits until every entry up to an index has been read from some member, or is on
    /// none any more.</summary>
    public Task CaughtUpAsync(long index)
    {
        return Poll.UntilAsync(
            $"the log is read up to {index}",
            () =>
            {
                if (_tasks.IsFaulted)
                {
                    _tasks.GetAwaiter().GetResult();
                }

                _audit.AllCompactedBefore(_readers.Min(r => r.First));
                return _audit.Covered >= index;
            },
            CatchUpLimit);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _tasks;
        _stop.Dispose();
    }
}
