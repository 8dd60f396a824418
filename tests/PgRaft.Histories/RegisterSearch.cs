// The search for an order of one register's operations: Wing and Gong's, with Lowe's memory of the
// configurations already seen (Lowe 2017, "Testing for linearizability").
//
// Calls and returns stand in a linked list by time; an operation can be next when its call comes
// before the first return that is left. Three facts about registers keep the choices few:
// - a read of the present value can always go next, so it is never a choice;
// - a value nobody reads is as good as any other such value, and its puts can go right before
//   another put, so the only choice is whether one of them is needed on its own;
// - a value that is still to be read, but can never be put again, must not be overwritten.
// A put that alone wrote a value returned, in effect, no later than the first read of that value.
//
// Threading: one thread, one use. Failure: out of time is a verdict of its own.
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace PgRaft.Histories;

internal enum Verdict
{
    Linearizable,
    Violation,
    TimedOut,
}

internal readonly record struct Deadline(TimeSpan Limit)
{
    private readonly long _start = Stopwatch.GetTimestamp();

    public bool Passed => Stopwatch.GetElapsedTime(_start) >= Limit;
}

internal sealed class RegisterSearch
{
    private const int Absent = 0;
    private const int Unread = 1;
    private const long Never = long.MaxValue;

    private readonly record struct Interval(bool IsPut, int Value, long Call, long Return);

    /// <summary>A point to come back to: what can go next, and how much was done before.</summary>
    private sealed record Choice(List<int> Moves, int Depth)
    {
        public int Tried { get; set; }
    }

    // Entry i is the call of operation i, entry n + i its return, entry 2n the head of the ring.
    // Operations are numbered by call, so that the bits of a configuration change close together.
    private readonly Interval[] _ops;
    private readonly int[] _next;
    private readonly int[] _previous;
    private readonly int[] _readsLeft;
    private readonly int[] _putsLeft;
    private readonly ulong[] _done;
    private readonly Stack<int> _order = new();
    private readonly HashSet<string> _seen = [];
    private int _requiredLeft;
    private int _state = Absent;

    /// <param name="ops">All operations on one key, of any outcome, in any order.</param>
    public RegisterSearch(IEnumerable<Operation> ops)
    {
        _ops = Prepare([.. ops], out int values);
        _next = new int[(2 * _ops.Length) + 1];
        _previous = new int[_next.Length];
        _done = new ulong[(_ops.Length / 64) + 1];
        _readsLeft = new int[values];
        _putsLeft = new int[values];
        foreach (Interval op in _ops)
        {
            (op.IsPut ? _putsLeft : _readsLeft)[op.Value]++;
            _requiredLeft += op.Return == Never ? 0 : 1;
        }

        LinkByTime();
    }

    private int Head => 2 * _ops.Length;

    public Verdict Run(Deadline deadline)
    {
        var choices = new Stack<Choice>();
        TakeFree();
        choices.Push(new Choice(Moves(), _order.Count));
        for (int step = 0; _requiredLeft > 0; step++)
        {
            if (step % 256 == 0 && deadline.Passed)
            {
                return Verdict.TimedOut;
            }

            Choice top = choices.Peek();
            UndoTo(top.Depth);
            if (top.Tried < top.Moves.Count)
            {
                Apply(top.Moves[top.Tried++]);
                if (_seen.Add(Configuration()))
                {
                    choices.Push(new Choice(Moves(), _order.Count));
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

    private static Interval[] Prepare(Operation[] ops, out int values)
    {
        ILookup<string?, Operation> reads = ops
            .Where(o => o is { Kind: OperationKind.Get, Outcome: Outcome.Ok })
            .ToLookup(o => o.Value);
        ILookup<string?, Operation> puts = ops
            .Where(o => o.Kind == OperationKind.Put && o.Outcome != Outcome.Failed)
            .ToLookup(o => o.Value);
        var result = new List<Interval>(ops.Length);
        values = Unread + 1;
        foreach (IGrouping<string?, Operation> read in reads)
        {
            int value = read.Key is null ? Absent : values++;
            result.AddRange(read.Select(o => new Interval(false, value, o.CallNs, o.ReturnNs)));
            bool alone = read.Key is not null && puts[read.Key].Take(2).Count() == 1;
            long firstReturn = alone ? read.Min(o => o.ReturnNs) : Never;
            result.AddRange(puts[read.Key].Select(o => PutOf(o, value, firstReturn)));
        }

        // One that may not have happened and that nobody saw needs no place in the order.
        result.AddRange(puts.Where(p => !reads.Contains(p.Key)).SelectMany(p => p)
            .Where(o => o.Outcome == Outcome.Ok).Select(o => PutOf(o, Unread, Never)));
        return [.. result.OrderBy(o => o.Call)];
    }

    private static Interval PutOf(Operation op, int value, long firstReadReturn)
    {
        long end = op.Outcome == Outcome.Ok ? op.ReturnNs : Never;
        return new(true, value, op.CallNs, Math.Min(end, firstReadReturn));
    }

    // Calls before returns where the times are equal: such operations overlap.
    private void LinkByTime()
    {
        int count = _ops.Length;
        IEnumerable<int> entries = Enumerable.Range(0, 2 * count)
            .Where(e => e < count || _ops[e - count].Return != Never)
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
        if (_readsLeft[_state] > 0 && _putsLeft[_state] == 0)
        {
            return moves;
        }

        bool hasUnread = false;
        for (int e = _next[Head]; e < _ops.Length; e = _next[e])
        {
            if (_ops[e].IsPut && (_ops[e].Value != Unread || !hasUnread))
            {
                hasUnread |= _ops[e].Value == Unread;
                moves.Add(e);
            }
        }

        return moves;
    }

    private void Apply(int put)
    {
        _state = Unread;
        TakeFree();
        if (_ops[put].Value != Unread)
        {
            Take(put);
            _state = _ops[put].Value;
            TakeFree();
        }
    }

    // Takes what changes nothing; taking a return away may let in more, hence the outer loop.
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
                if (_ops[e].Value == _state && (!_ops[e].IsPut || _state == Unread))
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
        if (_ops[op].Return != Never)
        {
            Unlink(_ops.Length + op);
        }

        _order.Push(op);
        Count(op, -1);
    }

    // The register's value needs no undoing: every move sets it.
    private void UndoTo(int depth)
    {
        while (_order.Count > depth)
        {
            int op = _order.Pop();
            if (_ops[op].Return != Never)
            {
                Relink(_ops.Length + op);
            }

            Relink(op);
            Count(op, 1);
        }
    }

    private void Count(int op, int change)
    {
        Interval interval = _ops[op];
        (interval.IsPut ? _putsLeft : _readsLeft)[interval.Value] += change;
        _requiredLeft += interval.Return == Never ? 0 : change;
        _done[op / 64] ^= 1UL << (op % 64);
    }

    private void Unlink(int entry) =>
        (_next[_previous[entry]], _previous[_next[entry]]) = (_next[entry], _previous[entry]);

    private void Relink(int entry) =>
        (_next[_previous[entry]], _previous[_next[entry]]) = (entry, entry);

    // The words that are neither full nor empty, and the first one's place. The register's value is
    // no part of it: with all free reads taken, a put is next whatever it is, and a value that must
    // not be overwritten cannot be put again after any other order of the same operations either.
    private string Configuration()
    {
        int first = 0;
        while (_done[first] == ulong.MaxValue)
        {
            first++;
        }

        int end = _done.Length;
        while (end > first && _done[end - 1] == 0)
        {
            end--;
        }

        ReadOnlySpan<ulong> words = _done.AsSpan(first, end - first);
        return string.Concat(
            MemoryMarshal.Cast<int, char>([first]), MemoryMarshal.Cast<ulong, char>(words));
    }
}
