// Histories with compare-and-swap to try the checker on, as RandomHistories has them without.
// Threading: no state but the caller's Random. Failure: none; the same seed gives the same history.
using System.Globalization;
using PgRaft.Histories;

namespace PgRaft.Consensus.Tests.Linearizability;

internal static class CasHistories
{
    /// <summary>Any few operations with any times and values, linearizable or not.</summary>
    public static List<Operation> OfChance(Random random, int count)
    {
        string?[] values = [null, "a", "b", "c"];
        var result = new List<Operation>();
        for (int i = 0; i < count; i++)
        {
            long call = random.Next(12);
            var op = new Operation(
                i, (OperationKind)random.Next(3), "k", values[random.Next(values.Length)], call,
                call + random.Next(8), (Outcome)Math.Max(random.Next(-4, 3), 0));
            result.Add(op.Kind != OperationKind.Cas ? op : op with
            {
                Expected = values[random.Next(values.Length)],
                Swapped = op.Outcome == Outcome.Ok && random.Next(2) == 0,
            });
        }

        return result;
    }

    /// <summary>Whether some order explains the history: every one is tried.</summary>
    public static bool HasOrder(List<Operation> ops) =>
        HasOrder(
            [.. ops.Where(o => o.Outcome == Outcome.Ok
                || (o.Outcome == Outcome.Unknown && o.Kind != OperationKind.Get))],
            null);

    /// <summary>
    /// What clients see of one register that they read, put and swap by revision, each using what
    /// it read last.
    /// </summary>
    public static List<Operation> OfRegister(Random random, int processes, int opsEach)
    {
        var result = new List<Operation>();
        var known = new long[processes];
        var busyUntil = new long[processes];
        string? value = null;
        long revision = 0;
        long lastEffect = 0;
        for (int i = 1; i <= processes * opsEach; i++)
        {
            int process = random.Next(processes);
            long effect = Math.Max(i * 100L, busyUntil[process] + random.Next(1, 50));
            effect = lastEffect = Math.Max(effect, lastEffect + 1);
            long call = Math.Max(busyUntil[process] + 1, effect - random.Next(400));
            busyUntil[process] = effect + random.Next(400);
            var kind = (OperationKind)random.Next(3);
            string? own = kind == OperationKind.Get ? value
                : i.ToString(CultureInfo.InvariantCulture);
            bool unknown = kind != OperationKind.Get && random.Next(40) == 0;
            bool writes = kind == OperationKind.Put
                || (kind == OperationKind.Cas && known[process] == revision);
            long expected = known[process];
            if (writes)
            {
                (value, revision) = (own, i);
            }

            bool told = !unknown && (kind != OperationKind.Cas || writes);
            known[process] = told ? revision : known[process];
            result.Add(new Operation(
                process, kind, "k", own, call, busyUntil[process],
                unknown ? Outcome.Unknown : Outcome.Ok)
            {
                ExpectedRevision = kind == OperationKind.Cas ? expected : null,
                Swapped = kind == OperationKind.Cas && writes && !unknown,
                Revision = told ? revision : null,
            });
        }

        return result;
    }

    private static bool HasOrder(List<Operation> left, string? value) =>
        left.TrueForAll(o => o.Outcome == Outcome.Unknown)
        || left.Exists(next =>
            !left.Exists(o => o.Outcome == Outcome.Ok && o.ReturnNs < next.CallNs)
            && Allowed(next, value)
            && HasOrder([.. left.Where(o => o != next)], After(next, value)));

    private static bool Allowed(Operation op, string? value) => op.Kind switch
    {
        OperationKind.Get => op.Value == value,
        OperationKind.Cas when op.Outcome == Outcome.Ok => op.Swapped == (op.Expected == value),
        OperationKind.Cas => op.Expected == value,
        _ => true,
    };

    private static string? After(Operation op, string? value) =>
        op.Kind == OperationKind.Get
        || (op.Kind == OperationKind.Cas && op.Outcome == Outcome.Ok && !op.Swapped)
            ? value
            : op.Value;
}
