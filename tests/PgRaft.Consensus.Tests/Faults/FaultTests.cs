// Seeded fault runs on clusters of three and five, and the control that shows they can fail.
using PgRaft.Histories;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

public sealed class FaultTests
{
    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 3)]
    [InlineData(3, 3)]
    [InlineData(4, 5)]
    public Task HistoriesAreLinearizableAndLeadersAlone(int seed, int size) =>
        RunAsync(seed, size, TimeSpan.FromSeconds(6));

    [Theory]
    [Trait("Category", "long")]
    [InlineData(100, 3)]
    [InlineData(101, 3)]
    [InlineData(102, 3)]
    [InlineData(103, 5)]
    [InlineData(104, 5)]
    public Task LongerRuns(int seed, int size) => RunAsync(seed, size, TimeSpan.FromSeconds(60));

    [Fact]
    public async Task ReadsWithoutAMajorityAreCaught()
    {
        for (int seed = 1; seed <= 10; seed++)
        {
            await using var run = new FaultRun(seed, 3, TimeSpan.FromSeconds(3))
            {
                ReadStale = true,
            };
            await run.ExecuteAsync();
            if (run.Check() is CheckResult.Violation)
            {
                return;
            }
        }

        Assert.Fail("ten runs with stale reads were taken for linearizable");
    }

    private static async Task RunAsync(int seed, int size, TimeSpan duration)
    {
        await using var run = new FaultRun(seed, size, duration);
        await run.ExecuteAsync();
        var operations = run.History.Operations;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"seed {seed}, {size} members: {operations.Count} operations, {run.Faults} faults, "
            + $"{run.Watcher.Terms} terms, "
            + $"{operations.Count(o => o.Outcome == Outcome.Unknown)} unknown outcomes");
        Assert.Empty(run.Watcher.Violations);
        Assert.True(
            operations.Count(o => o.Outcome == Outcome.Ok) > 50, "hardly anything was done");
        var result = run.Check();
        Assert.True(result is CheckResult.Linearizable, $"seed {seed}: {result}");
    }
}
