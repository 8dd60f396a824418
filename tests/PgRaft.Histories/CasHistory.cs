// Turns the operations of one key that has compare-and-swaps into what CasSearch orders: intervals
// over small numbers for values, with revisions replaced by the values they stand for.
//
// A revision names one write, so with distinct values it can stand for the value. Revisions also
// grow with every write, which the search holds its orders to.
// Threading: one thread, one use. Failure: values that are not distinct although revisions are used
// are refused; a revision that means two values is a contradiction.
namespace PgRaft.Histories;

internal enum CasKind
{
    /// <summary>The register holds a value.</summary>
    Is,

    /// <summary>The register does not hold a value: a comparison failed.</summary>
    IsNot,

    /// <summary>Writes.</summary>
    Put,

    /// <summary>Writes if the register holds a value.</summary>
    Swap,
}

/// <param name="Kind">What it does.</param>
/// <param name="Value">Is, put and swap: the value.</param>
/// <param name="Expected">IsNot and swap: the value compared with.</param>
/// <param name="Call">When called.</param>
/// <param name="Return">When returned; <see cref="long.MaxValue"/> = it need not have happened.
/// </param>
/// <param name="Revision">Put and swap: what was answered; 0 = unknown.</param>
internal readonly record struct CasInterval(
    CasKind Kind, int Value, int Expected, long Call, long Return, long Revision);

internal sealed class CasHistory
{
    public const int Absent = 0;
    public const long Never = long.MaxValue;
    private readonly Dictionary<string, int> _values = [];
    private readonly Dictionary<long, int> _revisions = new() { [0] = Absent };
    private readonly Dictionary<int, long> _revisionOf = new() { [Absent] = 0 };
    private readonly List<CasInterval> _intervals = [];

    public CasHistory(IReadOnlyCollection<Operation> ops)
    {
        RequireDistinct(ops);
        foreach (var op in ops.Where(o => o.Outcome == Outcome.Ok && o.Revision is not null))
        {
            if (op.Kind != OperationKind.Cas || op.Swapped)
            {
                Learn(op.Revision!.Value, ValueOf(op.Value));
            }
        }

        foreach (var op in ops.Where(o => o.Outcome != Outcome.Failed))
        {
            Add(op);
        }

        BoundWrites();
    }

    /// <summary>Why no order can exist; null = the search must tell.</summary>
    public string? Contradiction { get; private set; }

    public IReadOnlyList<CasInterval> Intervals => _intervals;

    /// <summary>How many values there are; they are 0..Values-1.</summary>
    public int Values => _values.Count + 1;

    private static void RequireDistinct(IReadOnlyCollection<Operation> ops)
    {
        bool revisions = ops.Any(o => o.Revision is not null || o.ExpectedRevision is not null);
        var twice = ops.Where(o => o.Kind != OperationKind.Get && o.Outcome != Outcome.Failed)
            .GroupBy(o => o.Value).FirstOrDefault(g => g.Skip(1).Any());
        if (revisions && twice is not null)
        {
            throw new ArgumentException(
                $"'{twice.Key}' is written twice, so a revision cannot stand for it");
        }
    }

    private int ValueOf(string? value)
    {
        if (value is null)
        {
            return Absent;
        }

        _values.TryAdd(value, _values.Count + 1);
        return _values[value];
    }

    private void Learn(long revision, int value)
    {
        if (!_revisions.TryAdd(revision, value) && _revisions[revision] != value)
        {
            Contradiction ??= $"revision {revision} was told of two values";
        }

        if (!_revisionOf.TryAdd(value, revision) && _revisionOf[value] != revision)
        {
            Contradiction ??= $"one value was told with revision {revision} and with another";
        }
    }

    // Where one write alone made a value that was seen, it had happened when the value was first
    // seen; where nobody saw it and no comparison failed, it needs no place in the order unless it
    // returned.
    private void BoundWrites()
    {
        bool compared = _intervals.Exists(i => i.Kind == CasKind.IsNot);
        var writes = _intervals.Where(Writes).ToLookup(i => i.Value);
        var seen = _intervals.Where(i => i.Return != Never && i.Kind is CasKind.Is or CasKind.Swap)
            .ToLookup(i => i.Kind == CasKind.Is ? i.Value : i.Expected, i => i.Return);
        var expected = _intervals.Where(i => i.Kind == CasKind.Swap).Select(i => i.Expected)
            .ToHashSet();
        for (int at = _intervals.Count - 1; at >= 0; at--)
        {
            var write = _intervals[at];
            if (!Writes(write))
            {
                continue;
            }

            bool alone = write.Value != Absent && !writes[write.Value].Skip(1).Any();
            if (alone && seen.Contains(write.Value))
            {
                long end = Math.Min(write.Return, seen[write.Value].Min());
                _intervals[at] = write with { Return = end };
            }
            else if (write.Return == Never && !compared && !seen.Contains(write.Value)
                && !expected.Contains(write.Value))
            {
                _intervals.RemoveAt(at);
            }
        }
    }

    private static bool Writes(CasInterval interval) =>
        interval.Kind is CasKind.Put or CasKind.Swap;

    private void Add(Operation op)
    {
        int value = ValueOf(op.Value);
        bool known = op.Outcome == Outcome.Ok;
        long end = known ? op.ReturnNs : Never;
        long revision = op.Revision ?? 0;
        switch (op.Kind)
        {
            case OperationKind.Get when known:
                _intervals.Add(new(CasKind.Is, value, 0, op.CallNs, end, 0));
                break;
            case OperationKind.Put:
                _intervals.Add(new(CasKind.Put, value, 0, op.CallNs, end, revision));
                break;
            case OperationKind.Cas:
                AddCas(op, value, end, revision);
                break;
        }
    }

    private void AddCas(Operation op, int value, long end, long revision)
    {
        bool known = op.Outcome == Outcome.Ok;
        int expected;
        if (op.ExpectedRevision is not { } wanted)
        {
            expected = ValueOf(op.Expected);
        }
        else if (!_revisions.TryGetValue(wanted, out expected))
        {
            // Nobody was told of it, so whoever swapped on it made it up; that it did not hold
            // says nothing.
            Contradiction ??= known && op.Swapped
                ? $"a swap on revision {wanted} held, which nobody was told of"
                : null;
            return;
        }

        _intervals.Add(known && !op.Swapped
            ? new(CasKind.IsNot, 0, expected, op.CallNs, end, 0)
            : new(CasKind.Swap, value, expected, op.CallNs, end, revision));
    }
}
