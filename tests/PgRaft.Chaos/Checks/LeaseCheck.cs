// Whether the leader lease was exclusive, and every term had one leader.
//
// Two members answered at certain times, but not all the time. What can be said for certain: once
// a member has held the lease in a term, no member may hold it in a lower term at any later time,
// and nobody else in the same. Two leases that overlap for longer than the time between two
// samples break the first rule.
//
// Threading: any thread may add samples; Check by one. Failure: none; what is wrong is returned.

using System.Globalization;

namespace PgRaft.Chaos.Checks;

internal sealed class LeaseCheck
{
    private readonly Lock _gate = new();
    private readonly Dictionary<long, long> _leaders = [];
    private readonly List<string> _wrong = [];
    private readonly List<LeaderSample> _held = [];
    private readonly Dictionary<long, LeaderSample> _earliest = [];
    private long _samples;

    public long Samples => Volatile.Read(ref _samples);

    /// <summary>Terms in which somebody led.</summary>
    public int Elections
    {
        get
        {
            lock (_gate)
            {
                return _leaders.Count;
            }
        }
    }

    public void Add(LeaderSample sample)
    {
        lock (_gate)
        {
            _samples++;
            if (sample.IsLeader)
            {
                _held.Add(sample);
                NoteLeader(sample, sample.NodeId);
            }

            if (sample.Leader != 0 && !(sample.IsLeader && sample.Leader == sample.NodeId))
            {
                NoteLeader(sample, sample.Leader);
            }
        }
    }

    /// <summary>What is wrong with the samples so far; each call takes up where the last ended.
    /// </summary>
    public IReadOnlyList<string> Check()
    {
        lock (_gate)
        {
            foreach (var sample in _held)
            {
                var known = _earliest.TryGetValue(sample.Term, out var earlier);
                _earliest[sample.Term] = known && earlier.After <= sample.After ? earlier : sample;
            }

            foreach (var sample in _held)
            {
                CompareToHigherTerms(sample);
            }

            _held.Clear();
            string[] wrong = [.. _wrong];
            _wrong.Clear();
            return wrong;
        }
    }

    private void CompareToHigherTerms(LeaderSample sample)
    {
        var higher = _earliest.Values
            .FirstOrDefault(e => e.Term > sample.Term && e.After < sample.Before);
        if (higher.Term != 0)
        {
            _wrong.Add($"the lease of a lower term was held later: {Show(sample)} after "
                + Show(higher));
        }
    }

    private void NoteLeader(LeaderSample sample, long leader)
    {
        if (!_leaders.TryAdd(sample.Term, leader) && _leaders[sample.Term] != leader)
        {
            _wrong.Add($"term {sample.Term} has leaders {_leaders[sample.Term]} and {leader}: "
                + Show(sample));
        }
    }

    private static string Show(LeaderSample s)
    {
        return string.Create(
            CultureInfo.InvariantCulture,
            $"node {s.NodeId} in term {s.Term} at {s.Before} .. {s.After} us");
    }
}
