// Compare-and-swap: histories whose verdict is known, every order of small ones, and long ones of
// an atomic register with one lie in them.
using PgRaft.Histories;
using Xunit;

namespace PgRaft.Consensus.Tests.Linearizability;

public sealed class CasCheckerTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public void ASwapHoldsOnlyOnWhatIsThere()
    {
        Passes(Put("a", 0, 1), Swap("a", "b", 2, 3), Get("b", 4, 5));
        Fails(Put("a", 0, 1), Swap("x", "b", 2, 3));
        Passes(Swap(null, "a", 0, 1), Swap("a", "b", 2, 3));
        Fails(Put("a", 0, 1), Swap(null, "b", 2, 3));
    }

    [Fact]
    public void OfTwoSwapsOfOneValueOneHolds()
    {
        Fails(Put("a", 0, 1), Swap("a", "b", 2, 9), Swap("a", "c", 3, 8));
        Passes(Put("a", 0, 1), Swap("a", "b", 2, 9), NoSwap("a", "c", 3, 8));
    }

    [Fact]
    public void AComparisonThatFailsNeedsAReason()
    {
        Fails(Put("a", 0, 1), NoSwap("a", "b", 2, 3));
        Passes(Put("a", 0, 1), NoSwap("x", "b", 2, 3));
        Passes(Put("a", 0, 1), Put("x", 2, 3, Outcome.Unknown), NoSwap("a", "b", 4, 5));
    }

    [Fact]
    public void ASwapOfUnknownOutcomeMayHaveHappened()
    {
        var maybe = Swap("a", "b", 2, 3) with { Outcome = Outcome.Unknown, Swapped = false };
        Passes(Put("a", 0, 1), maybe, Get("b", 4, 5));
        Passes(Put("a", 0, 1), maybe, Get("a", 4, 5));
        Fails(Put("a", 0, 1), maybe, Get("b", 4, 5), Get("a", 6, 7));
        Fails(Put("a", 0, 1), maybe with { Outcome = Outcome.Failed }, Get("b", 4, 5));
    }

    [Fact]
    public void ARevisionStandsForItsWrite()
    {
        Passes(At(Put("a", 0, 1), 5), SwapAt(5, "b", 6, 2, 3), At(Get("b", 4, 5), 6));
        Fails(At(Put("a", 0, 1), 5), At(Put("b", 2, 3), 6), SwapAt(5, "c", 7, 4, 5));
        Passes(SwapAt(0, "a", 1, 0, 1), SwapAt(1, "b", 2, 2, 3));
    }

    [Fact]
    public void ARevisionIsToldOfOneValueAndKnownBeforeItIsUsed()
    {
        Assert.Contains("two values", Fails(
            At(Put("a", 0, 1), 5), At(Put("b", 2, 3), 5), SwapAt(5, "c", 6, 4, 5)),
            StringComparison.Ordinal);
        Assert.Contains("with another", Fails(
            At(Put("a", 0, 1), 5), At(Get("a", 2, 3), 6), SwapAt(6, "c", 7, 4, 5)),
            StringComparison.Ordinal);
        Assert.Contains("nobody was told of", Fails(
            At(Put("a", 0, 1), 5), SwapAt(4, "c", 6, 4, 5)), StringComparison.Ordinal);
    }

    [Fact]
    public void RevisionsGrowWithEveryWrite()
    {
        Fails(At(Put("a", 0, 1), 6), At(Put("b", 2, 3), 5), SwapAt(5, "c", 7, 4, 5));
        Passes(At(Put("a", 0, 3), 6), At(Put("b", 0, 3), 5), SwapAt(6, "c", 7, 4, 5));
    }

    [Fact]
    public void AValueWrittenTwiceCannotHaveARevision() =>
        Assert.Throws<ArgumentException>(() => RegisterChecker.Check(
            [At(Put("a", 0, 1), 5), Put("a", 2, 3), SwapAt(5, "c", 6, 4, 5)], Limit));

    [Fact]
    public void AViolationIsShownWithoutReadsThatHaveNoPartInIt()
    {
        string explanation = Fails(
            Put("a", 0, 1), Get("a", 2, 3), Swap("a", "b", 4, 9), Swap("a", "c", 5, 8));
        Assert.Equal(
            """
            key 'k': no order fits their times and values (3 of 4 operations, 0 .. 9 ns):
              0 .. 1 ns process 1 put 'a'
              4 .. 9 ns process 1 if 'a' did put 'b'
              5 .. 8 ns process 1 if 'a' did put 'c'
            """,
            explanation);
    }

    [Fact]
    public void SmallHistoriesGetTheVerdictOfTryingEveryOrder()
    {
        const int Runs = 6000;
        int linearizable = 0;
        for (int seed = 0; seed < Runs; seed++)
        {
            var random = new Random(seed);
            var ops = CasHistories.OfChance(random, random.Next(2, 8));
            bool expected = CasHistories.HasOrder(ops);
            var result = RegisterChecker.Check(ops, Limit);
            Assert.True(
                expected == result is CheckResult.Linearizable,
                $"seed {seed}: {result}\n{string.Join('\n', ops)}");
            linearizable += expected ? 1 : 0;
        }

        Assert.InRange(linearizable, Runs / 10, Runs * 9 / 10);
    }

    [Theory]
    [InlineData(1, 3, 300)]
    [InlineData(2, 8, 120)]
    [InlineData(3, 12, 80)]
    public void AnAtomicRegisterPassesAndOneLieIsCaught(int seed, int processes, int opsEach)
    {
        var ops = CasHistories.OfRegister(new Random(seed), processes, opsEach);
        Assert.Equal(new CheckResult.Linearizable(), RegisterChecker.Check(ops, Limit));
        int held = ops.FindIndex(
            ops.Count / 2,
            o => o is { Kind: OperationKind.Cas, Swapped: true, Outcome: Outcome.Ok });
        ops.Add(ops[held] with
        {
            Value = "thief",
            Revision = null,
            CallNs = ops.Max(o => o.ReturnNs) + 1,
            ReturnNs = ops.Max(o => o.ReturnNs) + 2,
        });
        Assert.IsType<CheckResult.Violation>(RegisterChecker.Check(ops, Limit));
    }

    private static Operation Put(
        string? value, long call, long end, Outcome outcome = Outcome.Ok) =>
        new(1, OperationKind.Put, "k", value, call, end, outcome);

    private static Operation Get(string? value, long call, long end) =>
        new(1, OperationKind.Get, "k", value, call, end, Outcome.Ok);

    private static Operation Swap(string? expected, string value, long call, long end) =>
        new(1, OperationKind.Cas, "k", value, call, end, Outcome.Ok)
        {
            Expected = expected,
            Swapped = true,
        };

    private static Operation NoSwap(string? expected, string value, long call, long end) =>
        Swap(expected, value, call, end) with { Swapped = false };

    private static Operation At(Operation op, long revision) => op with { Revision = revision };

    private static Operation SwapAt(
        long expected, string value, long revision, long call, long end) =>
        At(Swap(null, value, call, end), revision) with { ExpectedRevision = expected };

    private static void Passes(params Operation[] ops) =>
        Assert.Equal(new CheckResult.Linearizable(), RegisterChecker.Check(ops, Limit));

    private static string Fails(params Operation[] ops) =>
        Assert.IsType<CheckResult.Violation>(RegisterChecker.Check(ops, Limit)).Explanation;
}
