// Seeded fault runs on clusters of three, five and seven, and the controls that show that they can
// fail. A seed that once found something is kept here.
using System.Globalization;
using PgRaft.Histories;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

[Collection(FaultCollection.Name)]
public sealed class FaultTests
{
    private const int ControlRuns = 25;

    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 3)]
    [InlineData(3, 3)]
    [InlineData(4, 3)]
    [InlineData(5, 5)]
    [InlineData(6, 5)]
    [InlineData(7, 5)]
    [InlineData(8, 7)]
    public async Task NothingIsViolated(int seed, int size)
    {
        var kept = Directory.CreateTempSubdirectory("pgraft-histories-");
        try
        {
            var summary = new FaultSummary { KeepsAll = true, Directory = kept.FullName };
            var plan = new FaultPlan(seed, size);
            await summary.RunAsync(plan);
            TestContext.Current.TestOutputHelper?.WriteLine(summary.ToString());
            Assert.True(summary.Violations.Count == 0, summary.ToString());
            Assert.True(summary.Operations > 50, $"hardly anything was done: {summary}");
            RequireWhole(HistoryFile.Read(summary.HistoryOf(plan)), summary.Operations);
        }
        finally
        {
            kept.Delete(recursive: true);
        }
    }

    // The file has all of a run in which nothing was wrong, and whoever checks it finds that too.
    private static void RequireWhole(IReadOnlyList<Operation> read, int expected)
    {
        Assert.Equal(expected, read.Count);
        Assert.Equal(
            Enum.GetValues<OperationKind>(), read.Select(o => o.Kind).Distinct().Order());
        Assert.Contains(read, o => o is { Kind: OperationKind.Cas, Swapped: true, Revision: > 0 });
        Assert.Contains(
            read, o => o is { Kind: OperationKind.Cas, Swapped: false, Outcome: Outcome.Ok });
        Assert.Contains(read, o => o is { Kind: OperationKind.Append, Index: > 0, Term: > 0 });
        Assert.IsType<CheckResult.Linearizable>(RegisterChecker.Check(
            [.. read.Where(o => o.Kind != OperationKind.Append)], TimeSpan.FromSeconds(30)));
        Assert.IsType<CheckResult.Linearizable>(AppendChecker.Check(read));
    }

    // Each way to break the system must be caught, soon and by the check that is meant to.
    [Theory]
    [InlineData(Sabotage.StaleReads, "key 'k")]
    [InlineData(Sabotage.LogNotSynced, "leader completeness")]
    [InlineData(Sabotage.VoteNotSynced, "one vote per term")]
    [InlineData(Sabotage.LeaseTooLong, "lease exclusivity")]
    [InlineData(Sabotage.ForgedAcknowledgements, "leader completeness")]
    [InlineData(Sabotage.RetriesAreNew, "key 'c")]
    [InlineData(Sabotage.CompareIgnored, "key 'c")]
    [InlineData(Sabotage.FenceIgnored, "(log)")]
    [InlineData(Sabotage.ForgedConsent, "lease exclusivity")]
    internal async Task SabotageIsCaught(Sabotage sabotage, string check)
    {
        var summary = new FaultSummary { Keeps = false };
        for (int seed = 1; seed <= ControlRuns; seed++)
        {
            var found = await summary.RunAsync(new FaultPlan(seed, 3) { Sabotage = sabotage });
            if (found.FirstOrDefault(v => v.Contains(check, StringComparison.Ordinal)) is { } what)
            {
                TestContext.Current.TestOutputHelper?.WriteLine(
                    $"{sabotage} was caught in run {seed}: {what}");
                return;
            }
        }

        Assert.Fail($"{ControlRuns} runs with {sabotage} did not break '{check}': {summary}");
    }

    // make fault-runs RUNS= SEED= SIZE= AT_ONCE= KEEP=
    [Fact(Explicit = true)]
    public async Task ManyRuns()
    {
        int runs = Setting("PGRAFT_FAULT_RUNS", 100);
        int firstSeed = Setting("PGRAFT_FAULT_SEED", 1);
        int size = Setting("PGRAFT_FAULT_SIZE", 0);
        var summary = new FaultSummary { KeepsAll = Setting("PGRAFT_FAULT_KEEP_ALL", 0) != 0 };
        var plans = Enumerable.Range(firstSeed, runs).Select(
            seed => new FaultPlan(seed, size == 0 ? FaultSummary.SizeOf(seed) : size));
        var atOnce = new ParallelOptions
        {
            MaxDegreeOfParallelism = Setting("PGRAFT_FAULT_AT_ONCE", 2),
        };
        await Parallel.ForEachAsync(
            plans, atOnce, async (plan, _) => await summary.RunAloudAsync(plan));
        Console.Error.WriteLine(summary);
        Assert.True(summary.Violations.Count == 0, summary.ToString());
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(
            Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out int value)
            ? value
            : otherwise;
}
