// Histories to try the checker on: of an atomic register, linearizable by construction; of chance,
// small enough that every order can be tried; and the trying of every order.
// Threading: no state but the caller's Random. Failure: none; the same seed gives the same history.
using PgRaft.Histories;

namespace PgRaft.Consensus.Tests.Linearizability;

internal static class RandomHistories
{
    public const string Key = "k";

    private sealed record Event(int Process, long Call, long Effect, long Return, Outcome Outcome);

    /// <summary>
    /// What <paramref name="processes"/> clients see of one register. Each effect lies between call
    /// and return; an unknown one's may come after the return, or never; a failed one has none.
    /// </summary>
    public static List<Operation> OfRegister(Random random, int processes, int opsEach)
    {
        var result = new List<Operation>();
        string? value = null;
        int written = 0;
        IEnumerable<Event> events = Enumerable.Range(0, processes)
            .SelectMany(p => EventsOf(random, p, opsEach))
            .OrderBy(e => e.Effect);
        foreach (Event e in events)
        {
            bool isPut = random.Next(2) == 0;
            string? own = isPut ? $"v{++written}" : value;
            result.Add(new Operation(
                e.Process,
                isPut ? OperationKind.Put : OperationKind.Get,
                Key,
                own,
                e.Call,
                e.Return,
                e.Outcome));
            bool happens = e.Outcome == Outcome.Ok
                || (e.Outcome == Outcome.Unknown && random.Next(2) == 0);
            value = happens ? own : value;
        }

        return result;
    }

    /// <summary>Any few operations with any times and values, linearizable or not.</summary>
    public static List<Operation> OfChance(Random random, int count)
    {
        string?[] values = [null, "a", "b", "c"];
        var result = new List<Operation>();
        for (int i = 0; i < count; i++)
        {
            bool isPut = random.Next(2) == 0;
            long call = random.Next(12);
            result.Add(new Operation(
                i,
                isPut ? OperationKind.Put : OperationKind.Get,
                Key,
                values[random.Next(values.Length)],
                call,
                call + random.Next(8),
                (Outcome)Math.Max(random.Next(-4, 3), 0)));
        }

        return result;
    }

    /// <summary>Whether some order explains the history: every one is tried.</summary>
    public static bool HasOrder(List<Operation> ops) =>
        HasOrder(
            [.. ops.Where(o => o.Outcome == Outcome.Ok
                || (o.Outcome == Outcome.Unknown && o.Kind == OperationKind.Put))],
            null);

    private static bool HasOrder(List<Operation> left, string? value) =>
        left.TrueForAll(o => o.Outcome == Outcome.Unknown)
        || left.Exists(next =>
            !left.Exists(o => o.Outcome == Outcome.Ok && o.ReturnNs < next.CallNs)
            && (next.Kind == OperationKind.Put || next.Value == value)
            && HasOrder([.. left.Where(o => o != next)], next.Value));

    private static IEnumerable<Event> EventsOf(Random random, int process, int count)
    {
        long now = random.Next(1000);
        for (int i = 0; i < count; i++)
        {
            long call = now + random.Next(300);
            long effect = call + random.Next(random.Next(20) == 0 ? 10_000 : 1000);
            long end = effect + random.Next(500);
            Outcome outcome = random.Next(20) switch
            {
                0 => Outcome.Failed,
                1 => Outcome.Unknown,
                _ => Outcome.Ok,
            };
            now = end + 1;
            effect += outcome == Outcome.Unknown ? random.Next(5000) : 0;
            yield return new Event(process, call, effect, end, outcome);
        }
    }
}
