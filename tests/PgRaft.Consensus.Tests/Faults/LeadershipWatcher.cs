// Watches for two leaders: of one term (election safety), and at one time (lease exclusivity).
// Threading: a thread of its own that looks every millisecond. Failure: collected in Violations.
using System.Collections.Concurrent;
using System.Diagnostics;
using PgRaft.Consensus.Tests.Cluster;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class LeadershipWatcher : IAsyncDisposable
{
    private readonly TestCluster _cluster;
    private readonly ConcurrentDictionary<long, int> _leaderOfTerm = new();
    private readonly Task _watching;
    private readonly ManualResetEventSlim _done = new();

    public LeadershipWatcher(TestCluster cluster)
    {
        _cluster = cluster;
        _watching = Task.Factory.StartNew(
            Watch, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public ConcurrentBag<string> Violations { get; } = [];

    public int Terms => _leaderOfTerm.Count;

    public async ValueTask DisposeAsync()
    {
        _done.Set();
        await _watching;
        _done.Dispose();
    }

    private void Watch()
    {
        // Every millisecond: often enough to meet any overlap that lasts, and leaves the cores to
        // the members.
        while (!_done.Wait(1))
        {
            foreach (var node in _cluster.Nodes)
            {
                if (LeaseOf(node) is { } lease)
                {
                    NoteLeader(node.Address.NodeId, lease.Term);
                    LookForAnother(node, lease.Term);
                }
            }
        }
    }

    private void NoteLeader(int nodeId, long term)
    {
        int known = _leaderOfTerm.GetOrAdd(term, nodeId);
        if (known != nodeId)
        {
            Violations.Add($"nodes {known} and {nodeId} both led term {term}");
        }
    }

    private void LookForAnother(TestNode first, long term)
    {
        foreach (var second in _cluster.Nodes.Where(n => n != first))
        {
            // The first is asked again after the second: then both leases held at one moment.
            if (LeaseOf(second) is { } other && other.Term != term
                && LeaseOf(first) is { } still && still.Term == term)
            {
                Violations.Add(
                    $"nodes {first.Address.NodeId} (term {term}) and {second.Address.NodeId} "
                    + $"(term {other.Term}) held the lease at once");
            }
        }
    }

    private static (long Term, long Deadline)? LeaseOf(TestNode node)
    {
        try
        {
            var status = node.Node.Status;
            bool holds = status.Role == NodeRole.Leader
                && status.LeaseDeadlineNs > Stopwatch.GetTimestamp();
            return holds ? (status.Term, status.LeaseDeadlineNs) : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }
}
