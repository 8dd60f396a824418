// Short runs on real servers: one in which nothing may be wrong, and one that is made wrong and
// must be caught. Long runs are made by hand: docs/reliability.md.
//
// Threading: one run at a time. Failure: the report, with the command that repeats the run.

using PgRaft.Chaos.Faults;
using PgRaft.Chaos.Network;
using PgRaft.Harness;
using PgRaft.Histories;
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

        // Its faults once removed a healthy member while another was down; with kinds that came
        // later it would be another plan.
        var options = new ChaosOptions
        {
            Seconds = 60,
            Seed = 771198,
            Faults = [.. FaultCatalog.Kinds.Except(["hung-disk"])],
            KeepHistory = true,
            Output = Directory.CreateTempSubdirectory("pgraft-chaos-").FullName,
        };
        var report = await ChaosRun.RunAsync(options, Show);

        Assert.True(report.Violations.Count == 0, report.Summary());
        RequireTold(report);
        RequireWhole(HistoryFile.Read(options.HistoryFile), report);
        Directory.Delete(options.Output, recursive: true);
        Assert.True(report.Tally.StaleRefused > 0, report.Summary());
        Assert.Empty(report.NetworkMissing);
        Assert.True(report.Faults.Values.Sum() > 3, report.Summary());
        Assert.True(report.VerifiedWrites > 500, report.Summary());
    }

    [Fact]
    public async Task Swaps_that_do_not_compare_are_caught()
    {
        var options = new ChaosOptions
        {
            Seconds = 10,
            BlindSwaps = true,
            Faults = ["stop-leader"],
            Output = Directory.CreateTempSubdirectory("pgraft-chaos-").FullName,
        };

        var report = await ChaosRun.RunAsync(options, Show);
        report.WriteEvidence();

        Assert.Contains(
            report.Violations,
            v => v.StartsWith("not linearizable: key 'chaos/0/swapped/", StringComparison.Ordinal));
        Assert.Contains(
            HistoryFile.Read(options.HistoryFile), o => o is { Kind: OperationKind.Cas });
        Directory.Delete(options.Output, recursive: true);
    }

    [Fact]
    public async Task A_disk_that_hangs_is_seen_through()
    {
        var options = new ChaosOptions { Seconds = 15, Seed = 3, Faults = ["hung-disk"] };

        var report = await ChaosRun.RunAsync(options, Show);

        Assert.True(report.Violations.Count == 0, report.Summary());
        Assert.True(report.Faults["hung-disk"] > 0, report.Summary());
    }

    [Fact]
    public async Task Each_way_to_cut_or_slow_a_network_is_seen_through()
    {
        await NeedsNetworkAsync();
        var kinds = FaultCatalog.NetworkKinds;
        var options = new ChaosOptions { Seconds = 60, Nodes = 5, Seed = 5, Faults = kinds };

        var report = await ChaosRun.RunAsync(options, Show);

        Assert.True(report.Violations.Count == 0, report.Summary());
        Assert.All(kinds, kind => Assert.True(
            report.Faults.GetValueOrDefault(kind) > 0, $"no {kind}\n{report.Summary()}"));
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

    // Whoever runs it by hand has only this.
    private static void RequireTold(ChaosReport report)
    {
        var tally = report.Tally;
        string[] told =
        [
            $"calls: {tally.Ok} done, {tally.Failed} certainly not done, {tally.Unknown} unknown",
            $"faults: {report.Faults.Values.Sum()}: ",
            $"elections: {report.Elections}",
            $"{report.VerifiedWrites} acknowledged writes in {report.Entries} log entries",
            "violations: 0",
            $"the same plan again: {report.Options.Replay}",
        ];
        string summary = report.Summary();
        Assert.All(told, line => Assert.Contains(line, summary, StringComparison.Ordinal));
        Assert.StartsWith(
            "make chaos SECONDS=60 SEED=771198 NODES=3", report.Options.Replay,
            StringComparison.Ordinal);
    }

    // The file has all stretches and kinds, and whoever checks it finds nothing either.
    private static void RequireWhole(IReadOnlyList<Operation> read, ChaosReport report)
    {
        var kinds = read.CountBy(o => o.Kind).ToDictionary(k => k.Key, k => (long)k.Value);
        Assert.Equal(report.Operations, kinds);
        Assert.Equal(Enum.GetValues<OperationKind>(), report.Operations.Keys);
        Assert.Contains(read, o => o is { Kind: OperationKind.Cas, Swapped: true, Revision: > 0 });
        Assert.Contains(
            read, o => o is { Kind: OperationKind.Cas, Swapped: false, Outcome: Outcome.Ok });
        Assert.IsType<CheckResult.Linearizable>(RegisterChecker.Check(
            [.. read.Where(o => o.Kind != OperationKind.Append)], TimeSpan.FromSeconds(60)));
        Assert.IsType<CheckResult.Linearizable>(AppendChecker.Check(read));
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
