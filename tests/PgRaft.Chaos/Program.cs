// Chaos on real servers, from the command line: runs once and sums up. Ends with 0 when all is
// well, 1 when the cluster broke a promise, 2 when there was no run.
//
// Threading: see ChaosRun. Failure: as said; servers, mounts and namespaces are removed in any
// case but SIGKILL.

using PgRaft.Chaos;
using PgRaft.Harness;

try
{
    var options = ChaosOptions.Parse(args);
    using var run = new TestRun();
    var report = await ChaosRun.RunAsync(options, Console.WriteLine);
    Console.WriteLine();
    Console.Write(report.Summary());
    if (report.Violations.Count == 0)
    {
        return 0;
    }

    report.WriteEvidence();
    Console.WriteLine($"evidence: {options.Output}");
    return 1;
}
catch (Exception e) when (e is ArgumentException or InvalidOperationException or TimeoutException)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
