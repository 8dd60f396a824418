// Seeded fault runs on clusters of three, five and seven, and the controls that show that they can
// fail. A seed that once found something is kept here.
using System.Globalization;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

[Collection(FaultCollection.Name)]
public sealed class FaultTests
{
    private const int ControlRuns = 50;

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
        var summary = new FaultSummary();
        await summary.RunAsync(new FaultPlan(seed, size));
        TestContext.Current.TestOutputHelper?.WriteLine(summary.ToString());
        Assert.True(summary.Violations.Count == 0, summary.ToString());
        Assert.True(summary.Operations > 50, $"hardly anything was done: {summary}");
    }

    // Each way to break the system must be caught, and soon: the figures are in
    // docs/reliability.md.
    [Theory]
    [InlineData(Sabotage.StaleReads)]
    [InlineData(Sabotage.LogNotSynced)]
    [InlineData(Sabotage.VoteNotSynced)]
    [InlineData(Sabotage.LeaseTooLong)]
    [InlineData(Sabotage.ForgedAcknowledgements)]
    [InlineData(Sabotage.ForgedConsent)]
    internal async Task SabotageIsCaught(Sabotage sabotage)
    {
        var summary = new FaultSummary { Keeps = false };
        for (int seed = 1; seed <= ControlRuns; seed++)
        {
            var found = await summary.RunAsync(new FaultPlan(seed, 3) { Sabotage = sabotage });

            // That a node refuses its disk would be as good, but is another control.
            string? what = found.FirstOrDefault(
                v => !v.StartsWith(RunMember.DoesNotStart, StringComparison.Ordinal)
                    && !v.StartsWith(FaultRun.EndedEarly, StringComparison.Ordinal));
            if (what is not null)
            {
                TestContext.Current.TestOutputHelper?.WriteLine(
                    $"{sabotage} was caught in run {seed}: {what}");
                return;
            }
        }

        Assert.Fail($"{ControlRuns} runs with {sabotage} violated nothing");
    }

    // make fault-runs RUNS= SEED= SIZE= AT_ONCE=
    [Fact(Explicit = true)]
    public async Task ManyRuns()
    {
        int runs = Setting("PGRAFT_FAULT_RUNS", 100);
        int firstSeed = Setting("PGRAFT_FAULT_SEED", 1);
        int size = Setting("PGRAFT_FAULT_SIZE", 0);
        var summary = new FaultSummary();
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
