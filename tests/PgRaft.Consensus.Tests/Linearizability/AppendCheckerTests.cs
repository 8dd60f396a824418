// Fenced appends: one history for each way they can be wrong, and its lawful twin; every order of
// small ones; long ones with one lie in them.
using System.Globalization;
using PgRaft.Histories;
using Xunit;

namespace PgRaft.Consensus.Tests.Linearizability;

public sealed class AppendCheckerTests
{
    [Fact]
    public void OneAfterAnotherTheIndexesRise()
    {
        Passes(null, Append("a", 1, 3, 0, 1), Append("b", 1, 5, 2, 3), Append("c", 2, 6, 4, 5));
        Fails("had returned", null, Append("a", 1, 3, 0, 1), Append("b", 1, 2, 2, 3));
        Passes(null, Append("a", 1, 3, 0, 2), Append("b", 1, 2, 1, 3));
    }

    [Fact]
    public void AnIndexIsGivenOnce() =>
        Fails("was given to", null, Append("a", 1, 3, 0, 9), Append("b", 1, 3, 1, 8));

    [Fact]
    public void AStaleTermIsNotAccepted()
    {
        Fails("stale term", null, Append("a", 2, 3, 0, 1), Append("b", 1, 4, 2, 3));
        Fails("stale term", null, Append("a", 2, 3, 0, 9), Append("b", 1, 4, 1, 8));
        Passes(null, Append("a", 2, 4, 0, 9), Append("b", 1, 3, 1, 8));
        var put = new Operation(9, OperationKind.Put, "k", "x", 0, 1, Outcome.Ok) { Term = 3 };
        Fails("stale term", null, put, Append("b", 2, 4, 2, 3));
        Passes(null, put, Append("b", 3, 4, 2, 3));
        Passes(null, put, Append("b", 2, 4, 1, 3));
    }

    [Fact]
    public void AnAcknowledgedAppendIsInTheFinalLogOnceAsItWas()
    {
        var append = Append("a", 1, 3, 0, 1);
        Passes([new(3, 1, "a")], append);
        Passes([new(2, 1, "x")], append);
        Fails("where the final log has", [new(3, 1, null)], append);
        Fails("where the final log has", [new(3, 2, "b")], append);
        Fails("but is at 4", [new(4, 1, "a")], append);
        Fails("with term 2", [new(3, 2, "a")], append);
        Fails("at 3 and 4", [new(3, 1, "a"), new(4, 1, "a")], append);
    }

    [Fact]
    public void AFailedAppendIsNeverInTheLogAndAnUnknownOneOnceAtMost()
    {
        var append = Append("a", 1, 0, 5, 6);
        Fails("failed, but", [new(3, 1, "a")], append with { Outcome = Outcome.Failed });
        var maybe = append with { Outcome = Outcome.Unknown };
        Passes([new(3, 1, "a")], maybe);
        Passes([new(3, 1, "b")], maybe);
        Fails("at 3 and 4", [new(3, 1, "a"), new(4, 1, "a")], maybe);
        Fails("had returned", [new(3, 1, "a")], maybe, Append("b", 1, 4, 0, 1));
        Passes([new(5, 1, "a")], maybe, Append("b", 1, 4, 0, 1));
    }

    [Fact]
    public void AValueIsAppendedOnceAndReturnsAfterItsCall()
    {
        Assert.Throws<ArgumentException>(() => AppendChecker.Check(
            [Append("a", 1, 3, 0, 1), Append("a", 1, 4, 2, 3)]));
        Assert.Throws<ArgumentException>(() => AppendChecker.Check([Append("a", 1, 3, 1, 0)]));
    }

    [Fact]
    public void SmallHistoriesGetTheVerdictOfTryingEveryOrder()
    {
        const int Runs = 6000;
        int linearizable = 0;
        for (int seed = 0; seed < Runs; seed++)
        {
            var random = new Random(seed);
            var ops = Enumerable.Range(0, random.Next(2, 7)).Select(i =>
            {
                long call = random.Next(12);
                return Append(
                    $"{i}", random.Next(1, 3), random.Next(1, 9), call, call + random.Next(8));
            }).ToList();
            bool expected = HasOrder(ops, 0, 0);
            var result = AppendChecker.Check(ops);
            Assert.True(
                expected == result is CheckResult.Linearizable,
                $"seed {seed}: {result}\n{string.Join('\n', ops)}");
            linearizable += expected ? 1 : 0;
        }

        Assert.InRange(linearizable, Runs / 20, Runs * 19 / 20);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void ALongHistoryPassesAndOneLieIsCaught(int seed)
    {
        var random = new Random(seed);
        var (ops, log) = OfLog(random, 2000);
        Assert.IsType<CheckResult.Linearizable>(AppendChecker.Check(ops, log));
        int victim = ops.FindIndex(1000, o => o.Outcome == Outcome.Ok);
        var honest = ops[victim];
        foreach (var lie in new[]
        {
            honest with { Term = honest.Term - 1 },
            honest with { Index = ops.First(o => o.Outcome == Outcome.Ok).Index },
            honest with { Outcome = Outcome.Failed },
            honest with { CallNs = 1_000_000, ReturnNs = 1_000_001 },
        })
        {
            ops[victim] = lie;
            Assert.IsType<CheckResult.Violation>(AppendChecker.Check(ops, log));
        }

        ops[victim] = honest;
        log.Remove(honest.Index);
        log[1] = new FinalEntry(1, honest.Term, honest.Value);
        Assert.IsType<CheckResult.Violation>(AppendChecker.Check(ops, log));
    }

    private static (List<Operation> Ops, Dictionary<long, FinalEntry> Log) OfLog(
        Random random, int count)
    {
        var ops = new List<Operation>();
        var log = new Dictionary<long, FinalEntry>();
        long term = 1;
        for (int i = 1; i <= count; i++)
        {
            term += random.Next(50) == 0 ? 1 : 0;
            long index = 10 + i;
            long effect = i * 100;
            var outcome = (Outcome)Math.Max(random.Next(-10, 3), 0);
            string value = i.ToString(CultureInfo.InvariantCulture);
            bool happens = outcome == Outcome.Ok
                || (outcome == Outcome.Unknown && random.Next(2) == 0);
            log[index] = new FinalEntry(index, term, happens ? value : null);
            ops.Add(Append(
                value, term, index, effect - random.Next(90), effect + random.Next(90)) with
            {
                Outcome = outcome,
            });
        }

        return (ops, log);
    }

    // The specification, tried in every order that the times allow.
    private static bool HasOrder(List<Operation> left, long lastIndex, long lastTerm) =>
        left.Count == 0
        || left.Exists(next =>
            !left.Exists(o => o.ReturnNs < next.CallNs)
            && next.Index > lastIndex
            && next.Term >= lastTerm
            && HasOrder([.. left.Where(o => o != next)], next.Index, next.Term));

    private static Operation Append(string value, long term, long index, long call, long end) =>
        new(1, OperationKind.Append, "", value, call, end, Outcome.Ok)
        {
            Term = term,
            Index = index,
        };

    private static void Passes(FinalEntry[]? log, params Operation[] ops) =>
        Assert.IsType<CheckResult.Linearizable>(Check(log, ops));

    private static void Fails(string why, FinalEntry[]? log, params Operation[] ops) =>
        Assert.Contains(
            why, Assert.IsType<CheckResult.Violation>(Check(log, ops)).Explanation,
            StringComparison.Ordinal);

    private static CheckResult Check(FinalEntry[]? log, Operation[] ops) =>
        AppendChecker.Check(ops, log?.ToDictionary(e => e.Index));
}
