// The checker against every order of small histories, and against long ones of an atomic register,
// as they are and with one lie in them.
using PgRaft.Histories;
using Xunit;

namespace PgRaft.Consensus.Tests.Linearizability;

public class RegisterCheckerRandomTests
{
    private const int Processes = 16;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public void Small_histories_get_the_verdict_of_trying_every_order()
    {
        int linearizable = 0;
        const int Runs = 6000;
        for (int seed = 0; seed < Runs; seed++)
        {
            var random = new Random(seed);
            List<Operation> ops = RandomHistories.OfChance(random, random.Next(2, 8));
            bool expected = RandomHistories.HasOrder(ops);
            CheckResult result = RegisterChecker.Check(ops, Limit);
            Assert.True(
                expected == result is CheckResult.Linearizable,
                $"seed {seed}: {result}\n{string.Join('\n', ops)}");
            linearizable += expected ? 1 : 0;
        }

        Assert.InRange(linearizable, Runs / 5, Runs * 4 / 5);
    }

    [Theory]
    [InlineData(1, 2, 1000)]
    [InlineData(2, 5, 400)]
    [InlineData(3, Processes, 125)]
    [InlineData(4, Processes, 300)]
    public void An_atomic_register_passes(int seed, int processes, int opsEach)
    {
        List<Operation> ops = RandomHistories.OfRegister(new Random(seed), processes, opsEach);
        Assert.Equal(new CheckResult.Linearizable(), RegisterChecker.Check(ops, Limit));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void One_stale_read_among_thousands_is_caught_and_shown(int seed)
    {
        var random = new Random(seed);
        List<Operation> ops = RandomHistories.OfRegister(random, Processes, 200);
        Operation[] puts = [.. ops.Where(o => IsOk(o, OperationKind.Put)).OrderBy(o => o.CallNs)];
        Operation old = puts[random.Next(puts.Length / 2)];
        Operation newer = puts.First(p => p.CallNs > old.ReturnNs);
        int at = ops.FindIndex(
            o => IsOk(o, OperationKind.Get) && o.CallNs > newer.ReturnNs && o.Value != old.Value);
        ops[at] = ops[at] with { Value = old.Value };
        CheckResult result = RegisterChecker.Check(ops, Limit);
        string explanation = Assert.IsType<CheckResult.Violation>(result).Explanation;
        Assert.Contains($"get '{old.Value}'", explanation, StringComparison.Ordinal);
        Assert.InRange(explanation.Split('\n').Length, 1 + 3, 1 + 6);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void One_read_write_that_did_not_happen_is_caught(int seed)
    {
        var random = new Random(seed);
        List<Operation> ops = RandomHistories.OfRegister(random, Processes, 100);
        Operation[] gets = [.. ops.Where(o => IsOk(o, OperationKind.Get) && o.Value is not null)];
        string? seen = gets[random.Next(gets.Length)].Value;
        int at = ops.FindIndex(o => o.Kind == OperationKind.Put && o.Value == seen);
        ops[at] = ops[at] with { Outcome = Outcome.Failed };
        CheckResult result = RegisterChecker.Check(ops, Limit);
        Assert.Contains(
            $"'{seen}' was read but its write failed",
            Assert.IsType<CheckResult.Violation>(result).Explanation,
            StringComparison.Ordinal);
    }

    [Fact]
    public void One_write_that_was_lost_is_caught()
    {
        List<Operation> ops = RandomHistories.OfRegister(new Random(5), Processes, 100);
        long end = ops.Max(o => o.ReturnNs);
        Operation put = ops.First(o => IsOk(o, OperationKind.Put)) with
        {
            Value = "x",
            CallNs = end + 1,
            ReturnNs = end + 2,
        };
        Operation last = ops.Last(o => IsOk(o, OperationKind.Get)) with
        {
            CallNs = end + 3,
            ReturnNs = end + 4,
        };
        ops.AddRange([put, last]);
        CheckResult result = RegisterChecker.Check(ops, Limit);
        string explanation = Assert.IsType<CheckResult.Violation>(result).Explanation;
        Assert.Contains("put 'x'", explanation, StringComparison.Ordinal);
        Assert.Contains($"get '{last.Value}'", explanation, StringComparison.Ordinal);
    }

    private static bool IsOk(Operation op, OperationKind kind) =>
        op.Kind == kind && op.Outcome == Outcome.Ok;
}
