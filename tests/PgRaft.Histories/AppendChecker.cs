// Says whether fenced appends to one log could have happened as their callers saw them.
//
// The specification: a log, and a current term that only grows. append(T, v) that succeeds adds v
// with term T at the end, at a moment between call and return when T is the current term, and
// answers its index. One that failed adds nothing, ever; one of unknown outcome adds v once, at any
// time after its call, or never. Elections move the term at any time, so a refusal needs no reason.
//
// The answered indexes fix the order, so no search is needed. What must hold, and does whenever the
// history is linearizable:
// - each index is given once, and terms never decrease with the index;
// - what was called after another returned has the higher index: so a stale term that is accepted
//   after an append (or another operation with a known term) of a newer term returned is caught;
// - in the final log, an acknowledged append is at its index, with its term and value, once; one of
//   unknown outcome at most once, and not before what had returned when it was called; a failed one
//   never.
// Threading: no state. Failure: values that are not distinct, or impossible times, are refused.
namespace PgRaft.Histories;

/// <summary>An entry of the final log; a null value is anything that is no append.</summary>
internal readonly record struct FinalEntry(long Index, long Term, string? Value);

internal static class AppendChecker
{
    private const string Log = "(log)";

    private sealed record Placed(Operation Op, long Index, long Term, long ReturnNs);

    /// <summary>Checks all appends of a history.</summary>
    /// <param name="ops">In any order. Operations of other kinds that were answered with a term
    /// count as signs of that term.</param>
    /// <param name="finalLog">What is known of the final log, by index; what is missing in it is
    /// unknown. Null = nothing is known.</param>
    /// <exception cref="ArgumentException">Two appends of one value, or a return before its call.
    /// </exception>
    public static CheckResult Check(
        IReadOnlyList<Operation> ops, IReadOnlyDictionary<long, FinalEntry>? finalLog = null)
    {
        var appends = ops.Where(o => o.Kind == OperationKind.Append).ToList();
        RequireDistinct(appends);
        var found = Find(finalLog);
        return (Repeated(finalLog) ?? Misplaced(appends, finalLog, found)
            ?? OutOfOrder(Place(appends, found)) ?? Stale(ops, appends)) is { } reason
            ? new CheckResult.Violation(Log, reason)
            : new CheckResult.Linearizable();
    }

    private static void RequireDistinct(List<Operation> appends)
    {
        if (appends.GroupBy(a => a.Value).FirstOrDefault(g => g.Skip(1).Any()) is { } twice)
        {
            throw new ArgumentException($"'{twice.Key}' is appended twice");
        }

        if (appends.Find(a => a.ReturnNs < a.CallNs) is { } impossible)
        {
            throw new ArgumentException($"returns before its call: {impossible}");
        }
    }

    private static Dictionary<string, FinalEntry> Find(
        IReadOnlyDictionary<long, FinalEntry>? finalLog)
    {
        var found = new Dictionary<string, FinalEntry>();
        foreach (var entry in finalLog?.Values ?? [])
        {
            if (entry.Value is not null)
            {
                found.TryAdd(entry.Value, entry);
            }
        }

        return found;
    }

    private static string? Repeated(IReadOnlyDictionary<long, FinalEntry>? finalLog)
    {
        var twice = finalLog?.Values.Where(e => e.Value is not null).GroupBy(e => e.Value)
            .FirstOrDefault(g => g.Skip(1).Any());
        return twice is null
            ? null
            : $"'{twice.Key}' is in the final log at "
                + string.Join(" and ", twice.Select(e => e.Index));
    }

    private static string? Misplaced(
        List<Operation> appends, IReadOnlyDictionary<long, FinalEntry>? finalLog,
        Dictionary<string, FinalEntry> found)
    {
        foreach (var op in appends)
        {
            bool there = found.TryGetValue(op.Value!, out var at);
            if (there && op.Outcome == Outcome.Failed)
            {
                return $"{Describe(op)} failed, but is in the final log at {at.Index}";
            }

            if (there && at.Term != op.Term)
            {
                return $"{Describe(op)} is in the final log with term {at.Term}";
            }

            if (op.Outcome == Outcome.Ok && finalLog is not null
                && finalLog.TryGetValue(op.Index, out var instead) && instead.Value != op.Value)
            {
                return $"{Describe(op)} was acknowledged at {op.Index}, where the final log has "
                    + $"{instead.Value ?? "something else"} of term {instead.Term}";
            }

            if (op.Outcome == Outcome.Ok && there && at.Index != op.Index)
            {
                return $"{Describe(op)} was acknowledged at {op.Index}, but is at {at.Index}";
            }
        }

        return null;
    }

    // Acknowledged ones, and of those of unknown outcome the ones that the log has.
    private static List<Placed> Place(List<Operation> appends, Dictionary<string, FinalEntry> found)
    {
        var acknowledged = appends.Where(a => a.Outcome == Outcome.Ok)
            .Select(a => new Placed(a, a.Index, a.Term, a.ReturnNs));
        var others = appends
            .Where(a => a.Outcome == Outcome.Unknown && found.ContainsKey(a.Value!))
            .Select(a => new Placed(a, found[a.Value!].Index, a.Term, long.MaxValue));
        return [.. acknowledged.Concat(others).OrderBy(p => p.Index)];
    }

    private static string? OutOfOrder(List<Placed> placed)
    {
        for (int i = 1; i < placed.Count; i++)
        {
            var (before, after) = (placed[i - 1], placed[i]);
            if (before.Index == after.Index)
            {
                return $"index {after.Index} was given to {Describe(before.Op)} and to "
                    + Describe(after.Op);
            }

            if (before.Term > after.Term)
            {
                return $"{Describe(after.Op)} at {after.Index} was accepted behind "
                    + $"{Describe(before.Op)} at {before.Index}: a stale term";
            }
        }

        return LateOne(placed);
    }

    // From the highest index down: nothing may have been called after the return of one above it.
    private static string? LateOne(List<Placed> placed)
    {
        Placed? soonest = null;
        for (int i = placed.Count - 1; i >= 0; i--)
        {
            if (soonest is not null && soonest.ReturnNs < placed[i].Op.CallNs)
            {
                return $"{Describe(placed[i].Op)} at {placed[i].Index} was called after "
                    + $"{Describe(soonest.Op)} at {soonest.Index} had returned";
            }

            soonest = soonest is null || placed[i].ReturnNs < soonest.ReturnNs
                ? placed[i]
                : soonest;
        }

        return null;
    }

    // A term was over once anything of a newer term had been answered.
    private static string? Stale(IReadOnlyList<Operation> ops, List<Operation> appends)
    {
        var signs = ops.Where(o => o.Outcome == Outcome.Ok && o.Term > 0)
            .OrderBy(o => o.ReturnNs).ToList();
        Operation? newest = null;
        int next = 0;
        foreach (var op in appends.Where(a => a.Outcome == Outcome.Ok).OrderBy(a => a.CallNs))
        {
            for (; next < signs.Count && signs[next].ReturnNs < op.CallNs; next++)
            {
                newest = newest is null || signs[next].Term > newest.Term ? signs[next] : newest;
            }

            if (newest is not null && newest.Term > op.Term)
            {
                return $"{Describe(op)} was accepted after {Describe(newest)} had returned: a "
                    + "stale term";
            }
        }

        return null;
    }

    private static string Describe(Operation op) =>
        $"'{op.Value}' of term {op.Term} (process {op.Process}, {op.CallNs} .. {op.ReturnNs} ns)";
}
