// Raft's invariants across members, from what is seen of them while a run goes on. The checks of
// one node (Invariants) cannot see these: they compare nodes, and a node before and after a crash.
//
// Threading: one lock. Failure: collected in Violations; nothing is thrown.
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Tests.Faults;

/// <summary>An entry as found in a member's log.</summary>
internal readonly record struct SeenEntry(
    long Index, long Term, ReadOnlyMemory<byte> Payload, EntryKind Kind = EntryKind.Command);

internal sealed class ClusterInvariants
{
    private readonly Lock _gate = new();
    private readonly List<string> _violations = [];
    private readonly Dictionary<long, int> _leaders = [];
    private readonly Dictionary<(int NodeId, long Term), int> _votes = [];
    private readonly Dictionary<int, long> _terms = [];
    private readonly Dictionary<(long Index, long Term), ReadOnlyMemory<byte>> _entries = [];
    private readonly SortedDictionary<long, Committed> _committed = [];
    private readonly Dictionary<long, (int NodeId, string Hash)> _hashes = [];
    private readonly Dictionary<(int NodeId, long Term), Lease> _leases = [];

    private sealed record Committed(SeenEntry Entry, int NodeId, long SeenInTerm);

    private sealed record Lease(long BeganNs, long EndsNs, Func<bool> IsGivenUp);

    public IReadOnlyList<string> Violations
    {
        get
        {
            lock (_gate)
            {
                return [.. _violations];
            }
        }
    }

    /// <summary>Terms in which somebody was seen to lead.</summary>
    public int Terms
    {
        get
        {
            lock (_gate)
            {
                return _leaders.Count;
            }
        }
    }

    /// <summary>Every entry that was seen committed, by index.</summary>
    public IReadOnlyDictionary<long, SeenEntry> CommittedEntries
    {
        get
        {
            lock (_gate)
            {
                return _committed.ToDictionary(c => c.Key, c => c.Value.Entry);
            }
        }
    }

    /// <summary>A node that is no member begins anew with an empty disk.</summary>
    public void Forget(int nodeId)
    {
        lock (_gate)
        {
            _terms.Remove(nodeId);
            foreach (var vote in _votes.Keys.Where(v => v.NodeId == nodeId).ToArray())
            {
                _votes.Remove(vote);
            }
        }
    }

    /// <summary>Something else that must not be.</summary>
    public void Broken(string what)
    {
        lock (_gate)
        {
            _violations.Add(what);
        }
    }

    /// <summary>Election safety (Ongaro 2014 §3.4): one leader a term.</summary>
    public void Leads(int nodeId, long term)
    {
        lock (_gate)
        {
            if (!_leaders.TryAdd(term, nodeId) && _leaders[term] != nodeId)
            {
                Add($"election safety: nodes {_leaders[term]} and {nodeId} both led term {term}");
            }
        }
    }

    /// <summary>Terms never go back, not over crashes either (Ongaro 2014, figure 3.1).</summary>
    public void IsInTerm(int nodeId, long term)
    {
        lock (_gate)
        {
            long before = _terms.GetValueOrDefault(nodeId);
            if (term < before)
            {
                Add($"one vote per term: node {nodeId} went from term {before} back to {term}");
            }

            _terms[nodeId] = Math.Max(before, term);
        }
    }

    /// <summary>One vote per term, also over crashes (Ongaro 2014 §3.4).</summary>
    public void HasVoted(int nodeId, long term, int votedFor)
    {
        lock (_gate)
        {
            if (votedFor != 0 && !_votes.TryAdd((nodeId, term), votedFor)
                && _votes[(nodeId, term)] != votedFor)
            {
                Add($"one vote per term: node {nodeId} voted for {_votes[(nodeId, term)]} and "
                    + $"{votedFor} in term {term}");
            }
        }
    }

    /// <summary>
    /// One vote per term: a power failure takes neither the term nor the vote (Ongaro 2014 §3.4).
    /// </summary>
    public void Remembers(
        int nodeId, (long Term, int VotedFor) before, (long Term, int VotedFor) onDisk)
    {
        bool isVoteLost = onDisk.Term == before.Term && onDisk.VotedFor != before.VotedFor
            && before.VotedFor != 0;
        if (onDisk.Term < before.Term || isVoteLost)
        {
            Broken($"one vote per term: node {nodeId} lost power after it had voted for "
                + $"{before.VotedFor} in term {before.Term}, and its disk says {onDisk.VotedFor} "
                + $"in term {onDisk.Term}");
        }
    }

    /// <summary>Log matching (Ongaro 2014 §3.5): one entry for an index and term.</summary>
    public void HasEntry(int nodeId, SeenEntry entry)
    {
        lock (_gate)
        {
            var known = _entries.GetValueOrDefault((entry.Index, entry.Term), entry.Payload);
            _entries[(entry.Index, entry.Term)] = known;
            if (!known.Span.SequenceEqual(entry.Payload.Span))
            {
                Add($"log matching: node {nodeId} has another entry {entry.Index} of term "
                    + $"{entry.Term} than was seen elsewhere");
            }
        }
    }

    /// <summary>
    /// State machine safety (Ongaro 2014 §3.6.3): one committed entry an index.
    /// </summary>
    /// <param name="nodeId">Who has it committed.</param>
    /// <param name="entry">What.</param>
    /// <param name="seenInTerm">That node's term: it was committed in this term or an earlier.
    /// </param>
    public void HasCommitted(int nodeId, SeenEntry entry, long seenInTerm)
    {
        lock (_gate)
        {
            if (!_committed.TryGetValue(entry.Index, out var known))
            {
                _committed.Add(entry.Index, new Committed(entry, nodeId, seenInTerm));
            }
            else if (known.Entry.Term != entry.Term
                || !known.Entry.Payload.Span.SequenceEqual(entry.Payload.Span))
            {
                Add($"state machine safety: entry {entry.Index} is committed with term "
                    + $"{known.Entry.Term} on node {known.NodeId} and {entry.Term} on {nodeId}");
            }
            else if (seenInTerm < known.SeenInTerm)
            {
                _committed[entry.Index] = known with { SeenInTerm = seenInTerm };
            }
        }
    }

    /// <summary>
    /// Leader completeness (Ongaro 2014 §3.6): what was committed is in every later leader's log.
    /// </summary>
    /// <param name="nodeId">The leader.</param>
    /// <param name="term">The term it leads.</param>
    /// <param name="firstIndex">First index its log still has.</param>
    /// <param name="termAt">Term of an entry of its log; negative = not there.</param>
    public void LeadsWithLog(int nodeId, long term, long firstIndex, Func<long, long> termAt)
    {
        List<Committed> owed;
        lock (_gate)
        {
            owed = [.. _committed.Values.Where(
                c => c.SeenInTerm < term && c.Entry.Index >= firstIndex)];
        }

        foreach (var (entry, seenOn, seenInTerm) in owed)
        {
            long found = termAt(entry.Index);
            if (found != entry.Term)
            {
                Broken($"leader completeness: node {nodeId} leads term {term} with term {found} at "
                    + $"entry {entry.Index}, which node {seenOn} had committed with term "
                    + $"{entry.Term} by term {seenInTerm}");
            }
        }
    }

    /// <summary>Equal state at equal index.</summary>
    public void HasState(int nodeId, long appliedIndex, string hash)
    {
        lock (_gate)
        {
            if (!_hashes.TryAdd(appliedIndex, (nodeId, hash)) && _hashes[appliedIndex].Hash != hash)
            {
                Add($"state machine safety: nodes {_hashes[appliedIndex].NodeId} and {nodeId} have "
                    + $"different states at index {appliedIndex}");
            }
        }
    }

    /// <summary>Commit monotonic (Ongaro 2014, figure 3.1).</summary>
    public void CommitMoved(int nodeId, long before, long after)
    {
        if (after < before)
        {
            Broken($"commit monotonic: node {nodeId} went from {before} back to {after}");
        }
    }

    /// <summary>
    /// Lease exclusivity (Ongaro 2014 §6.4.1): from when a node is seen to hold a lease until the
    /// end it was promised, no other holds it. The promise outlives the node, unless the node has
    /// given up the lease of the term for good.
    /// </summary>
    /// <param name="nodeId">Who holds it.</param>
    /// <param name="term">In which term.</param>
    /// <param name="nowNs">Now, on a clock that all nodes share.</param>
    /// <param name="endsNs">Its end, on that clock.</param>
    /// <param name="isGivenUp">Whether the node, alive or not, has given it up since; null =
    /// no.</param>
    public void HoldsLease(
        int nodeId, long term, long nowNs, long endsNs, Func<bool>? isGivenUp = null)
    {
        lock (_gate)
        {
            if (_leases.TryGetValue((nodeId, term), out var mine))
            {
                _leases[(nodeId, term)] = mine with { EndsNs = Math.Max(mine.EndsNs, endsNs) };
                return;
            }

            foreach (var ((other, otherTerm), lease) in _leases)
            {
                if (other != nodeId && lease.EndsNs > nowNs && !lease.IsGivenUp())
                {
                    Add($"lease exclusivity: node {nodeId} held the lease in term {term} "
                        + $"{(lease.EndsNs - nowNs) / 1000} us before that of node {other} "
                        + $"in term {otherTerm} ended");
                }
            }

            _leases.Add(
                (nodeId, term), new Lease(nowNs, endsNs, isGivenUp ?? (static () => false)));
        }
    }

    private void Add(string what) => _violations.Add(what);
}
