// Looks at every member all the time and hands what it sees to the invariants: who leads, votes,
// logs, commit indexes, states, leases.
// Threading: a thread of its own that looks every other millisecond; what matters only at the end
// is read once more by LookAtEverything. Failure: collected in Invariants.
using System.Buffers.Binary;
using System.Diagnostics;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core.Snapshots;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class ClusterWatcher : IAsyncDisposable
{
    private const int LooksPerHash = 64;
    private readonly TestCluster _cluster;
    private readonly bool _leasesHold;
    private readonly Dictionary<RaftNode, Progress> _progress = [];
    private readonly HashSet<(int NodeId, long Term)> _checkedLeaders = [];
    private readonly ManualResetEventSlim _done = new();
    private readonly Task _watching;
    private long _looks;

    /// <param name="cluster">Whom to watch.</param>
    /// <param name="leasesHold">Whether clocks run as leases need them to.</param>
    public ClusterWatcher(TestCluster cluster, bool leasesHold)
    {
        _cluster = cluster;
        _leasesHold = leasesHold;
        _watching = Task.Factory.StartNew(
            Watch, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public ClusterInvariants Invariants { get; } = new();

    public async ValueTask DisposeAsync()
    {
        _done.Set();
        await _watching;
        _done.Dispose();
    }

    /// <summary>Reads all logs and states from the beginning; the watching has ended.</summary>
    public void LookAtEverything()
    {
        _progress.Clear();
        _looks = -1;
        LookAround();
    }

    private void Watch()
    {
        while (!_done.Wait(2))
        {
            LookAround();
        }
    }

    private void LookAround()
    {
        _looks++;
        foreach (var node in _cluster.Nodes)
        {
            try
            {
                if (node.IsUp)
                {
                    LookAt(node);
                }
            }
            catch (Exception e) when (e is InvalidOperationException or ObjectDisposedException
                or Core.PgraftException)
            {
                // It was stopped, or its disk died, under our eyes.
            }
        }
    }

    private void LookAt(TestNode member)
    {
        var node = member.Node;
        int nodeId = member.Address.NodeId;
        if (!_progress.TryGetValue(node, out var progress))
        {
            _progress.Add(node, progress = new Progress());
        }

        LookAtLeadership(member, node, nodeId);
        Invariants.IsInTerm(nodeId, node.Log.Term);
        LookAtVote(member, nodeId);
        LookAtLog(node, nodeId, progress);
        if (_looks % LooksPerHash == 0)
        {
            var image = member.StateMachine.Capture();
            Invariants.HasState(nodeId, image.AppliedIndex, StateHash.ComputeHex(image));
        }
    }

    private void LookAtLeadership(TestNode member, RaftNode node, int nodeId)
    {
        // The clock first: what is seen later was promised no later than this would make it.
        long nowNs = LeaderLease.ToNs(Stopwatch.GetTimestamp());
        long clockNs = LeaderLease.ToNs(member.Clock.GetTimestamp());
        if (node.View.Tenure is not { } tenure)
        {
            return;
        }

        Invariants.Leads(nodeId, tenure.Term);
        bool IsGivenUp() => node.CededTerm >= tenure.Term;
        bool wasGivenUp = IsGivenUp();
        long deadlineNs = node.Status.LeaseDeadlineNs;
        if (_leasesHold && deadlineNs > clockNs && deadlineNs != LeaderLease.Unlimited
            && node.View.Tenure == tenure)
        {
            double rate = (member.Clock as TestClock)?.Rate ?? 1;
            long endsNs = nowNs + (long)((deadlineNs - clockNs) / rate);
            Invariants.HoldsLease(nodeId, tenure.Term, nowNs, endsNs, IsGivenUp);
            if (wasGivenUp)
            {
                Invariants.Broken($"lease exclusivity: node {nodeId} holds the lease of term "
                    + $"{tenure.Term}, which it had given up");
            }
        }

        if (_checkedLeaders.Add((nodeId, tenure.Term)))
        {
            var log = node.Log.Records;
            Invariants.LeadsWithLog(
                nodeId, tenure.Term, log.FirstIndex,
                index => log.FirstIndex > index ? Seen(index) : log.TermAt(index));
        }
    }

    // Compacted meanwhile: it was in the log, or it would not have been applied.
    private long Seen(long index) => Invariants.CommittedEntries[index].Term;

    // What is on its disk: a vote counts from when it is durable.
    private void LookAtVote(TestNode member, int nodeId)
    {
        if (VoteOnDisk(member) is { } vote)
        {
            Invariants.HasVoted(nodeId, vote.Term, vote.VotedFor);
        }
    }

    /// <summary>What a power failure would certainly leave of a member's term and vote; null =
    /// no file.</summary>
    public static (long Term, int VotedFor)? VoteOnDisk(TestNode member)
    {
        string path = Path.Combine(member.DataDirectory, "term");
        return member.Io is SimulatedDisk disk && disk.DurableContent(path) is { } content
            ? (BinaryPrimitives.ReadInt64LittleEndian(content.AsSpan(8)),
                BinaryPrimitives.ReadInt32LittleEndian(content.AsSpan(16)))
            : null;
    }

    private void LookAtLog(RaftNode node, int nodeId, Progress progress)
    {
        // The term after the index: what is committed was so in this term or an earlier one.
        long commitIndex = node.Log.CommitIndex;
        long term = node.Log.Term;
        Invariants.CommitMoved(nodeId, progress.CommitIndex, commitIndex);
        progress.CommitIndex = commitIndex;
        var log = node.Log.Records;
        long from = Math.Max(Math.Min(progress.Read, commitIndex) + 1, log.FirstIndex);
        from = Math.Min(from, progress.Committed + 1);
        from = Math.Max(from, log.FirstIndex);
        var records = new List<LogRecord>();
        log.Read(from, 10_000, int.MaxValue, records);
        foreach (var record in records)
        {
            var entry = new SeenEntry(record.Index, record.Term, record.Payload, record.Kind);
            Invariants.HasEntry(nodeId, entry);
            progress.Read = record.Index;
            if (record.Index <= commitIndex)
            {
                progress.Committed = record.Index;
                Invariants.HasCommitted(nodeId, entry, term);
            }
        }
    }

    private sealed class Progress
    {
        public long CommitIndex { get; set; }

        public long Committed { get; set; }

        public long Read { get; set; }
    }
}
