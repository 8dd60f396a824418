// A whole run: founds the cluster, lets faults and clients at it in stretches of a minute, and
// after each stretch heals everything, demands progress and agreement, and checks all that was
// recorded. Short stretches keep the checker's work small and the evidence near its cause.
//
// Threading: one run a process. Failure: what is wrong with the cluster is a violation in the
// result; what prevents a run (no staged server, say) throws.

using PgRaft.Chaos.Checks;
using PgRaft.Chaos.Clients;
using PgRaft.Chaos.Faults;
using PgRaft.Chaos.Network;
using PgRaft.Chaos.Nodes;
using PgRaft.Histories;

namespace PgRaft.Chaos;

internal sealed class ChaosRun : IAsyncDisposable
{
    private static readonly TimeSpan EpochTime = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan CheckLimit = TimeSpan.FromSeconds(60);

    // A leader is elected in two seconds, five at worst; a machine that is short of processors
    // gets some more.
    private static readonly TimeSpan UnavailabilityLimit = TimeSpan.FromSeconds(20);

    private readonly ChaosOptions _options;
    private readonly Findings _findings;
    private readonly Availability _availability = new();
    private readonly LeaseCheck _lease = new();
    private readonly Tally _tally = new();
    private readonly LogAudit _audit;
    private readonly ChaosCluster _cluster;
    private readonly Nemesis _nemesis;
    private readonly ServerLogs _logs;
    private readonly ClientContext _clients;
    private readonly SortedDictionary<OperationKind, long> _operations = [];
    private History _last = new();

    private ChaosRun(ChaosOptions options, Findings findings, ChaosCluster cluster)
    {
        _options = options;
        _findings = findings;
        _cluster = cluster;
        _audit = new LogAudit(findings.Violation);
        _logs = new ServerLogs(cluster);
        _nemesis = new Nemesis(cluster, findings, options, _availability);
        _clients = new ClientContext(cluster, findings, _tally, _audit, _availability, options);
    }

    /// <summary>Runs once, showing each event as it happens; the result has what was done and
    /// what is wrong.</summary>
    public static async Task<ChaosReport> RunAsync(ChaosOptions options, Action<string> show)
    {
        using var findings = new Findings(show);
        if (options.KeepHistory)
        {
            Directory.CreateDirectory(options.Output);
            File.Delete(options.HistoryFile);
        }

        var (network, reason) = await NodeNetwork.TryCreateAsync(options.Nodes);
        using var removed = network;
        if (network is null)
        {
            findings.Event($"no partitions, no delays: {reason}");
        }

        var cluster = await ChaosCluster.StartAsync(
            options.Nodes, network, new Random(options.Seed));
        await using var run = new ChaosRun(options, findings, cluster);
        findings.Event($"{options.Nodes} servers founded; {options.Replay}");
        await run.AllEpochsAsync();
        return run.Report(reason);
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
    }

    private async Task AllEpochsAsync()
    {
        await using var observers = new Observers(_cluster, _lease, _audit);
        var left = TimeSpan.FromSeconds(_options.Seconds);
        for (var epoch = 0; left > TimeSpan.Zero && _findings.Violations.Count == 0; epoch++)
        {
            var time = left < EpochTime * 1.5 ? left : EpochTime;
            left -= time;
            await EpochAsync(epoch, time, observers);
        }
    }

    private async Task EpochAsync(int epoch, TimeSpan time, Observers observers)
    {
        await using (var clients = new ClientPool(_clients, epoch, _options.Seed))
        {
            _last = clients.History;
            _availability.Expect(true);
            await _nemesis.RunAsync(time);
            await DemandAsync("progress", () => _cluster.RequireProgressAsync());
            _availability.Expect(false);
            await clients.StopAsync();
        }

        await DemandAsync("agreement", async () =>
            await observers.CaughtUpAsync(await _cluster.RequireAgreementAsync()));
        Check(epoch);
    }

    private async Task DemandAsync(string what, Func<Task> demand)
    {
        try
        {
            await demand();
        }
        catch (Exception e) when (e is TimeoutException or Npgsql.NpgsqlException)
        {
            _findings.Violation($"no {what} after everything was healed: {e.Message}");
        }
    }

    private void Check(int epoch)
    {
        var operations = _last.Operations;
        foreach (var kind in operations.GroupBy(o => o.Kind))
        {
            _operations[kind.Key] = _operations.GetValueOrDefault(kind.Key) + kind.Count();
        }

        if (_options.KeepHistory)
        {
            _last.AppendJsonLines(_options.HistoryFile);
        }

        foreach (var wrong in _lease.Check().Concat(_logs.Check()))
        {
            _findings.Violation(wrong);
        }

        _audit.Verify();
        Require(RegisterChecker.Check(
            [.. operations.Where(o => o.Kind != OperationKind.Append)], CheckLimit));
        Require(AppendChecker.Check(operations));
        if (_availability.Longest > UnavailabilityLimit)
        {
            _findings.Violation($"no write for {_availability.Longest} with a majority healthy");
        }

        _findings.Event(FormattableString.Invariant(
            $"stretch {epoch}: {operations.Count} operations checked, {_audit.Covered} entries"));
    }

    private void Require(CheckResult result)
    {
        switch (result)
        {
            case CheckResult.Violation violation:
                _findings.Violation($"not linearizable: {violation.Explanation}");
                break;
            case CheckResult.TimedOut timedOut:
                _findings.Violation($"key '{timedOut.Key}' cannot be checked in {CheckLimit}");
                break;
        }
    }

    private ChaosReport Report(string reason)
    {
        return new ChaosReport
        {
            Options = _options,
            NetworkMissing = reason,
            Operations = _operations,
            Tally = _tally,
            Faults = _nemesis.Counts,
            Elections = _lease.Elections,
            LeaseSamples = _lease.Samples,
            Entries = _audit.Covered,
            VerifiedWrites = _audit.Verified,
            StrangeMessages = _logs.Strange,
            UnseenEntries = _audit.Unseen,
            LongestUnavailability = _availability.Longest,
            Violations = _findings.Violations,
            Events = _findings.Events,
            History = _last,
            ServerLogs = _findings.Violations.Count > 0
                ? [.. _cluster.Nodes.Select(n => (n.Slot, n.Server.Log()))]
                : [],
        };
    }
}
