// Short runs on real servers: one in which nothing may be wrong, and one that is made wrong and
// must be caught. Long runs are made by hand: docs/reliability.md.
//
// Threading: one run at a time. Failure: the report, with the command that repeats the run.

using PgRaft.Chaos.Network;
using PgRaft.Harness;
using Xunit.Sdk;
using Xunit.v3;

[assembly: Parallelization(Mode = ParallelMode.None)]
[assembly: AssemblyFixture(typeof(TestRun))]

namespace PgRaft.Chaos.Tests;

public sealed class ChaosRunTests
{
    [Fact]
    public async Task A_minute_of_faults_on_three_servers_breaks_no_promise()
    {
        await NeedsNetworkAsync();

        // Its faults once removed a healthy member while another was down.
        var options = new ChaosOptions { Seconds = 60, Seed = 771198 };
        var report = await ChaosRun.RunAsync(options, Show);

        Assert.True(report.Violations.Count == 0, report.Summary());
        Assert.Empty(report.NetworkMissing);
        Assert.True(report.Faults.Values.Sum() > 3, report.Summary());
        Assert.True(report.VerifiedWrites > 500, report.Summary());
    }

    [Fact]
    public async Task Reads_that_do_not_ask_the_cluster_are_caught()
    {
        await NeedsNetworkAsync();
        var options = new ChaosOptions
        {
            Seconds = 20,
            StaleReads = true,
            Faults = ["isolated-leader", "partition"],
        };

        var report = await ChaosRun.RunAsync(options, Show);

        Assert.Contains(
            report.Violations, v => v.StartsWith("not linearizable", StringComparison.Ordinal));
    }

    private static async Task NeedsNetworkAsync()
    {
        var (network, reason) = await NodeNetwork.TryCreateAsync(1);
        Assert.SkipWhen(network is null, reason);
        network!.Dispose();
    }

    private static void Show(string line)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(line);
    }
}
