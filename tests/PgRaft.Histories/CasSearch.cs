// The search for an order of one register's operations when there are compare-and-swaps among them:
// Wing and Gong's with Lowe's memory, as RegisterSearch, which is faster where there are none.
//
// Calls and returns stand in a linked list by time; an operation can be next when its call comes
// before the first return that is left. What only looks (a read, a comparison that failed) and
// holds now can always go next, so it is never a choice. A value that is still to be read or
// compared with successfully, but can never be written again, must not be overwritten by anything
// else.
// Threading: one thread, one use. Failure: out of time is a verdict of its own.
using System.Globalization;
using System.Runtime.InteropServices;

namespace PgRaft.Histories;

internal sealed class CasSearch
{
    private sealed record Choice(List<int> Moves, int Depth, int State, long Revision)
    {
        public int Tried { get; set; }
    }

    // Entry i is the call of operation i, entry n + i its return, entry 2n the head of the ring.
    private readonly CasInterval[] _ops;
    private readonly int[] _next;
    private readonly int[] _previous;
    private readonly int[] _readsLeft;
    private readonly int[] _swapsLeft;
    private readonly int[] _writesLeft;
    private readonly ulong[] _done;
    private readonly Stack<int> _order = new();
    private readonly HashSet<string> _seen = [];
    private readonly bool _contradiction;
    private int _requiredLeft;
    private int _state = CasHistory.Absent;
    private long _revision;

    /// <param name="history">All operations on one key.</param>
    public CasSearch(CasHistory history)
    {
        _contradiction = history.Contradiction is not null;
        _ops = [.. history.Intervals.OrderBy(o => o.Call)];
        _next = new int[(2 * _ops.Length) + 1];
        _previous = new int[_next.Length];
        _done = new ulong[(_ops.Length / 64) + 1];
        _readsLeft = new int[history.Values];
        _swapsLeft = new int[history.Values];
        _writesLeft = new int[history.Values];
        for (int op = 0; op < _ops.Length; op++)
        {
            Count(op, 1);
        }

        Array.Clear(_done);
        LinkByTime();
    }

    private int Head => 2 * _ops.Length;

    public Verdict Run(Deadline deadline)
    {
        if (_contradiction)
        {
            return Verdict.Violation;
        }

        var choices = new Stack<Choice>();
        TakeFree();
        choices.Push(new Choice(Moves(), _order.Count, _state, _revision));
        for (int step = 0; _requiredLeft > 0; step++)
        {
            if (step % 256 == 0 && deadline.Passed)
            {
                return Verdict.TimedOut;
            }

            Choice top = choices.Peek();
            UndoTo(top);
            if (top.Tried < top.Moves.Count)
            {
                Apply(top.Moves[top.Tried++]);
                if (_seen.Add(Configuration()))
                {
                    choices.Push(new Choice(Moves(), _order.Count, _state, _revision));
                }
            }
            else if (choices.Count == 1)
            {
                return Verdict.Violation;
            }
            else
            {
                choices.Pop();
            }
        }

        return Verdict.Linearizable;
    }

    // Calls before returns where the times are equal: such operations overlap.
    private void LinkByTime()
    {
        int count = _ops.Length;
        IEnumerable<int> entries = Enumerable.Range(0, 2 * count)
            .Where(e => e < count || _ops[e - count].Return != CasHistory.Never)
            .OrderBy(e => e < count ? _ops[e].Call : _ops[e - count].Return)
            .ThenBy(e => e);
        int last = Head;
        foreach (int entry in entries)
        {
            (_next[last], _previous[entry]) = (entry, last);
            last = entry;
        }

        (_next[last], _previous[Head]) = (Head, last);
    }

    private List<int> Moves()
    {
        var moves = new List<int>();
        bool last = _writesLeft[_state] == 0;
        if (last && _readsLeft[_state] > 0)
        {
            return moves;
        }

        bool onlySwaps = last && _swapsLeft[_state] > 0;
        for (int e = _next[Head]; e < _ops.Length; e = _next[e])
        {
            var op = _ops[e];
            bool possible = op.Kind == CasKind.Swap && op.Expected == _state
                ? !onlySwaps || op.Return != CasHistory.Never
                : op.Kind == CasKind.Put && !onlySwaps;
            if (possible && (op.Revision == 0 || op.Revision > _revision))
            {
                moves.Add(e);
            }
        }

        return moves;
    }

    private void Apply(int write)
    {
        Take(write);
        _state = _ops[write].Value;
        _revision = Math.Max(_revision, _ops[write].Revision);
        TakeFree();
    }

    // Taking a return away may let in more, hence the outer loop.
    private void TakeFree()
    {
        int before;
        do
        {
            before = _order.Count;
            int following;
            for (int e = _next[Head]; e < _ops.Length; e = following)
            {
                following = _next[e];
                var op = _ops[e];
                if ((op.Kind == CasKind.Is && op.Value == _state)
                    || (op.Kind == CasKind.IsNot && op.Expected != _state))
                {
                    Take(e);
                }
            }
        }
        while (_order.Count > before);
    }

    private void Take(int op)
    {
        Unlink(op);
        if (_ops[op].Return != CasHistory.Never)
        {
            Unlink(_ops.Length + op);
        }

        _order.Push(op);
        Count(op, -1);
    }

    private void UndoTo(Choice choice)
    {
        while (_order.Count > choice.Depth)
        {
            int op = _order.Pop();
            if (_ops[op].Return != CasHistory.Never)
            {
                Relink(_ops.Length + op);
            }

            Relink(op);
            Count(op, 1);
        }

        _state = choice.State;
        _revision = choice.Revision;
    }

    private void Count(int index, int change)
    {
        var op = _ops[index];
        bool required = op.Return != CasHistory.Never;
        _requiredLeft += required ? change : 0;
        _done[index / 64] ^= 1UL << (index % 64);
        switch (op.Kind)
        {
            case CasKind.Is:
                _readsLeft[op.Value] += change;
                break;
            case CasKind.Put or CasKind.Swap:
                _writesLeft[op.Value] += change;
                _swapsLeft[op.Expected] += op.Kind == CasKind.Swap && required ? change : 0;
                break;
        }
    }

    private void Unlink(int entry) =>
        (_next[_previous[entry]], _previous[_next[entry]]) = (_next[entry], _previous[entry]);

    private void Relink(int entry) =>
        (_next[_previous[entry]], _previous[_next[entry]]) = (entry, entry);

    // What was done says which revision was last, but not which value.
    private string Configuration() => string.Concat(
        _state.ToString(CultureInfo.InvariantCulture), ":",
        MemoryMarshal.Cast<ulong, char>(_done));
}
