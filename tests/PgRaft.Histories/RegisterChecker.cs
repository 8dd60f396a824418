// Says whether a recorded history could have come from one register a key, each operation taking
// effect at one instant between its call and its return; and if not, shows the few operations that
// contradict each other. Keys are independent, so each is checked on its own. Compare-and-swaps
// compare with a value or with a revision. Appends are not a register's: AppendChecker has those.
// Threading: no state. Failure: a history that cannot be (a return before its call) is refused.
using System.Globalization;

namespace PgRaft.Histories;

internal abstract record CheckResult
{
    internal sealed record Linearizable : CheckResult;

    internal sealed record Violation(string Key, string Explanation) : CheckResult;

    /// <summary>Nothing is known about this key.</summary>
    internal sealed record TimedOut(string Key) : CheckResult;
}

internal static class RegisterChecker
{
    private const int MaxShown = 40;

    /// <summary>Checks every key; a violation of one outweighs the time-out of another.</summary>
    /// <param name="ops">In any order; a register begins absent.</param>
    /// <param name="limit">Time for the verdict on all keys, smallest first; explaining a violation
    /// may take as long again.</param>
    /// <exception cref="ArgumentException">An operation returns before its call.</exception>
    public static CheckResult Check(IReadOnlyList<Operation> ops, TimeSpan limit)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, TimeSpan.Zero);
        Operation? impossible = ops.FirstOrDefault(o => o.ReturnNs < o.CallNs);
        if (impossible is not null)
        {
            throw new ArgumentException($"returns before its call: {impossible}", nameof(ops));
        }

        var deadline = new Deadline(limit);
        CheckResult.TimedOut? timedOut = null;
        foreach (var key in ops.GroupBy(o => o.Key).OrderBy(k => k.Count()))
        {
            switch (Search(key, deadline))
            {
                case Verdict.Violation:
                    return new CheckResult.Violation(key.Key, Explain([.. key], limit));
                case Verdict.TimedOut:
                    timedOut ??= new CheckResult.TimedOut(key.Key);
                    break;
            }
        }

        return timedOut is null ? new CheckResult.Linearizable() : timedOut;
    }

    private static Verdict Search(IEnumerable<Operation> ops, Deadline deadline)
    {
        List<Operation> all = [.. ops];
        return all.Exists(o => o.Kind == OperationKind.Cas)
            ? new CasSearch(new CasHistory(all)).Run(deadline)
            : new RegisterSearch(all).Run(deadline);
    }

    private static string Explain(List<Operation> all, TimeSpan limit)
    {
        bool swaps = all.Exists(o => o.Kind == OperationKind.Cas);
        List<Operation> few = swaps
            ? ShrinkLooks(all, new Deadline(limit))
            : Shrink(all, new Deadline(limit));
        string times = string.Create(
            CultureInfo.InvariantCulture,
            $"{few.Min(o => o.CallNs)} .. {few.Max(o => o.ReturnNs)} ns");
        IEnumerable<string> lines = few.Take(MaxShown).Select(Describe);
        string more = few.Count > MaxShown ? $"\n  and {few.Count - MaxShown} more" : "";
        return $"key '{few[0].Key}': {Reason(few, all)} ({few.Count} of {all.Count} operations, "
            + $"{times}):\n  {string.Join("\n  ", lines)}{more}";
    }

    private static string Reason(List<Operation> few, List<Operation> all)
    {
        static bool Writes(Operation put, Operation get) =>
            put.Kind != OperationKind.Get && put.Value == get.Value;

        if (all.Exists(o => o.Kind == OperationKind.Cas)
            && new CasHistory(all).Contradiction is { } contradiction)
        {
            return contradiction;
        }

        Operation? odd = few.Find(g => g is { Kind: OperationKind.Get, Value: not null }
            && !few.Exists(p => Writes(p, g) && p.CallNs <= g.ReturnNs));
        return odd is null ? "no order fits their times and values"
            : few.Exists(p => Writes(p, odd)) ? $"'{odd.Value}' was read before it was written"
            : all.Exists(p => Writes(p, odd)) ? $"'{odd.Value}' was read but its write failed"
            : $"'{odd.Value}' was read but never written";
    }

    private static string Describe(Operation op) => string.Create(
        CultureInfo.InvariantCulture,
        $"{op.CallNs} .. {(op.Outcome == Outcome.Unknown ? "?" : op.ReturnNs)} ns "
        + $"process {op.Process} {Verb(op)} {Name(op.Value)}");

    private static string Name(string? value) => value is null ? "absent" : $"'{value}'";

    private static string Verb(Operation op) => op.Kind switch
    {
        OperationKind.Put => "put",
        OperationKind.Get => "get",
        _ => (op.ExpectedRevision is { } revision ? $"if revision {revision}"
            : $"if {Name(op.Expected)}")
            + (op.Outcome != Outcome.Ok ? " maybe" : op.Swapped ? " did" : " did not")
            + " put",
    };

    // With swaps only what looks and changes nothing can be left out, and what came later than the
    // violation.
    private static List<Operation> ShrinkLooks(List<Operation> all, Deadline deadline)
    {
        static bool Looks(Operation op) => op.Kind == OperationKind.Get
            || (op is { Kind: OperationKind.Cas, Outcome: Outcome.Ok, Swapped: false });

        List<Operation> counted = [.. all.Where(Counts)];
        List<Operation> writes = [.. counted.Where(o => !Looks(o))];
        IEnumerable<List<Operation>> looks = counted.Where(Looks)
            .OrderBy(o => o.CallNs)
            .Select(o => new List<Operation> { o });
        IEnumerable<Operation> few = Reduce([.. looks], writes, deadline).SelectMany(g => g);
        return [.. few.Concat(writes).OrderBy(o => o.CallNs)];
    }

    // What is left of a linearizable history without some reads, or without all the operations of a
    // value, is linearizable. So what can be left out while the violation stays is no part of it.
    private static List<Operation> Shrink(List<Operation> all, Deadline deadline)
    {
        IEnumerable<List<Operation>> values = all.Where(Counts)
            .OrderBy(o => o.CallNs)
            .GroupBy(o => o.Value)
            .Select(v => v.ToList());
        List<Operation> left = [.. Reduce([.. values], [], deadline).SelectMany(v => v)];
        List<Operation> puts = [.. left.Where(o => o.Kind == OperationKind.Put)];
        IEnumerable<List<Operation>> gets = left
            .Where(o => o.Kind == OperationKind.Get)
            .Select(o => new List<Operation> { o });
        IEnumerable<Operation> few = Reduce([.. gets], puts, deadline).SelectMany(g => g);
        return [.. few.Concat(puts).OrderBy(o => o.CallNs)];
    }

    private static bool Counts(Operation op) =>
        op.Outcome == Outcome.Ok
        || (op.Outcome == Outcome.Unknown && op.Kind != OperationKind.Get);

    // Leaves out runs of parts, the latest and longest first, for as long as the violation stays.
    private static List<List<Operation>> Reduce(
        List<List<Operation>> parts, List<Operation> kept, Deadline deadline)
    {
        for (int size = Math.Max(parts.Count / 2, 1); size > 0; size /= 2)
        {
            for (int end = parts.Count; end > 0 && !deadline.Passed; end -= size)
            {
                int start = Math.Max(end - size, 0);
                List<List<Operation>> rest = [.. parts[..start], .. parts[end..]];
                if (Search(kept.Concat(rest.SelectMany(p => p)), deadline) == Verdict.Violation)
                {
                    parts = rest;
                }
            }
        }

        return parts;
    }
}
