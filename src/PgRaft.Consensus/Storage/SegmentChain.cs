// The segments of the log in order, and which of them holds an entry.
// Threading: the log's lock. Failure: none.
namespace PgRaft.Consensus.Storage;

/// <remarks><i>Invariant</i>: ids rise by one; live entries rise from segment to segment without a
/// gap (a segment whose entries were all superseded holds none); the last is the one written to.
/// </remarks>
internal sealed class SegmentChain
{
    private readonly List<Segment> _segments = [];

    internal Segment Active => _segments[^1];

    internal IReadOnlyList<Segment> All => _segments;

    internal void Push(Segment segment) => _segments.Add(segment);

    // Entries from index on are superseded: from now on nothing finds them.
    internal void TruncateFrom(long index)
    {
        for (int i = _segments.Count - 1; i >= 0; i--)
        {
            if (_segments[i].Count > 0 && _segments[i].Last < index)
            {
                return;
            }

            _segments[i].TruncateFrom(index);
        }
    }

    // Null when no segment holds it. Newest first: those are asked for most.
    internal Segment? Find(long index)
    {
        for (int i = _segments.Count - 1; i >= 0; i--)
        {
            if (_segments[i].Holds(index))
            {
                return _segments[i];
            }
        }

        return null;
    }

    // Takes out the leading segments that hold nothing beyond the index; never the active one.
    internal List<Segment> TakePrefix(long upToIndex)
    {
        int count = 0;
        while (count < _segments.Count - 1
            && (_segments[count].Count == 0 || _segments[count].Last <= upToIndex))
        {
            count++;
        }

        List<Segment> prefix = _segments.GetRange(0, count);
        _segments.RemoveRange(0, count);
        return prefix;
    }

    internal List<Segment> TakeAll()
    {
        List<Segment> all = [.. _segments];
        _segments.Clear();
        return all;
    }
}
