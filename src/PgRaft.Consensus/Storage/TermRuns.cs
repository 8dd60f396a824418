// Terms of a contiguous range of entries, kept as runs: terms change at elections only, so a log of
// millions of entries needs a handful of runs.
// Threading: the owner's lock. Failure: none; unknown is -1.
namespace PgRaft.Consensus.Storage;

/// <remarks><i>Invariant</i>: runs rise strictly, by index and by term.</remarks>
internal sealed class TermRuns
{
    private readonly List<(long FirstIndex, long Term)> _runs = [];

    // Forgets all and begins with one known entry, the one before the log's first.
    internal void Reset(long index, long term)
    {
        _runs.Clear();
        _runs.Add((index, term));
    }

    internal void Append(long index, long term)
    {
        if (_runs[^1].Term != term)
        {
            _runs.Add((index, term));
        }
    }

    internal void TruncateFrom(long index)
    {
        while (_runs.Count > 1 && _runs[^1].FirstIndex >= index)
        {
            _runs.RemoveAt(_runs.Count - 1);
        }
    }

    // Keeps the entry itself: its term is asked for as the one before the first.
    internal void DropBefore(long index)
    {
        int run = Find(index);
        _runs.RemoveRange(0, run);
        _runs[0] = (index, _runs[0].Term);
    }

    // The caller has checked that the index is in range.
    internal long TermAt(long index) => _runs[Find(index)].Term;

    private int Find(long index)
    {
        int low = 0;
        int high = _runs.Count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (_runs[middle].FirstIndex <= index)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low;
    }
}
