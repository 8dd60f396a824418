// One seeded run: clients read and write while network, disks, clocks, members and membership
// misbehave; then all is healed, progress is demanded, and what happened is checked.
//
// The order of events depends on the machine as well as on the seed, so a seed replays the plan of
// faults, not the run to the last interleaving.
// Threading: clients, nemesis, membership changes and watcher are tasks of their own. Failure: what
// broke is in Violations; nothing is thrown for it.
using System.Text;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Histories;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FaultRun : IAsyncDisposable
{
    /// <summary>What a violation begins with when a run could not go on: no progress, say.
    /// </summary>
    public const string EndedEarly = "the run ended early";

    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan CheckLimit = TimeSpan.FromSeconds(30);
    private readonly FaultPlan _plan;
    private readonly FaultyNetwork _network;
    private readonly CancellationTokenSource _faultsEnd = new();
    private readonly TestCluster _cluster;
    private readonly ClusterWatcher _watcher;
    private readonly Random _clockRates;
    private readonly FaultClients _clients;
    private readonly Nemesis _nemesis;
    private readonly MembershipChanges _changes;
    private readonly List<string> _violations = [];
    private IReadOnlyList<RunMember> _members = [];
    private int _lastNodeId;

    public FaultRun(FaultPlan plan)
    {
        _plan = plan;
        _network = new FaultyNetwork
        {
            ForgesAcknowledgements = plan.Sabotage == Sabotage.ForgedAcknowledgements,
            ForgesConsent = plan.Sabotage == Sabotage.ForgedConsent,
        };
        _clockRates = new Random(plan.Seed + 3);
        _cluster = new TestCluster
        {
            MayBreak = true,
            Network = _network,
            ElectionTimeout = plan.ElectionTimeoutMs,
        };
        _cluster.Runtime = _cluster.Runtime with
        {
            SnapshotIntervalEntries = 60,
            MaxLogEntries = 40,
        };
        _watcher = new ClusterWatcher(_cluster, plan.Clocks != ClockFaults.Jumps);
        _clients = new FaultClients(_cluster, plan, History, _faultsEnd.Token);
        _nemesis = new Nemesis(
            plan, _network, () => _members, _clients, _watcher.Invariants);
        _changes = new MembershipChanges(
            plan, _cluster, () => _members, () => AddMember(founding: false), _faultsEnd.Token);
    }

    public History History { get; } = new();

    public IReadOnlyList<string> Violations => [.. _watcher.Invariants.Violations, .. _violations];

    public int Terms => _watcher.Invariants.Terms;

    public int Faults => _nemesis.Done.Values.Sum();

    public IReadOnlyDictionary<string, int> FaultKinds => _nemesis.Done;

    /// <summary>The longest that writes stood still because a disk hung.</summary>
    public TimeSpan LongestTakeover => _nemesis.LongestTakeover;

    /// <summary>Committed entries that nobody saw before they were compacted, and all after
    /// them: whether appends are in the log is not known from there on.</summary>
    public int Unseen { get; private set; }

    public int LostFrames => _network.Lost;

    /// <summary>Frames that were delivered a second time, late.</summary>
    public int LateFrames => _network.Replayed;

    public int MembershipChanges => _changes.Added + _changes.Removed;

    /// <summary>What the members logged.</summary>
    public string Log => ((LoggerFactoryForTests)_cluster.Loggers).Text;

    /// <summary>Runs to the end, whatever breaks on the way.</summary>
    public async Task ExecuteAsync()
    {
        try
        {
            await RunAsync().WaitAsync(LongestRun);
        }
        catch (Exception e)
        {
            _violations.Add($"{EndedEarly}: {e}");
        }

        await _watcher.DisposeAsync();
        _watcher.LookAtEverything();
        CheckHistory();
    }

    public async ValueTask DisposeAsync()
    {
        await _faultsEnd.CancelAsync();
        foreach (var member in _members)
        {
            member.Heal();
        }

        await _cluster.DisposeAsync();
        await _network.DisposeAsync();
        foreach (var member in _members)
        {
            member.Dispose();
        }

        _faultsEnd.Dispose();
    }

    private async Task RunAsync()
    {
        for (int i = 0; i < _plan.Size; i++)
        {
            AddMember(founding: true);
        }

        await _cluster.StartAllAsync();
        foreach (var member in _members)
        {
            member.Prepare();
        }

        var working = _clients.RunAsync();
        var changing = _plan.MembersChange ? _changes.RunAsync() : Task.CompletedTask;
        await _nemesis.MisbehaveAsync();
        await _faultsEnd.CancelAsync();
        await Task.WhenAll(working, changing);
        if (_plan.Sabotage == Sabotage.None)
        {
            await RecoverAsync();
        }
    }

    // Safety first, then liveness: healed, the cluster must serve again and agree with itself.
    private async Task RecoverAsync()
    {
        await _cluster.UntilAsync(
            async () =>
            {
                await _nemesis.HealAsync();
                var leader = _cluster.Nodes.FirstOrDefault(FaultClients.Leads);
                return leader is not null && await _clients.PutAsync(leader) == Outcome.Ok
                    && await _clients.AppendAsync(leader) == Outcome.Ok;
            },
            "a write after everything was healed");
        var members = (await _cluster.LeaderAsync()).Node.GetMembers()
            .Select(m => m.Address.NodeId).ToHashSet();
        foreach (var stranger in _members.Where(m => !members.Contains(m.NodeId)))
        {
            stranger.Retired = true;
            await stranger.StopAsync();
        }

        await _cluster.AgreeAsync();
    }

    private RunMember AddMember(bool founding)
    {
        int nodeId = ++_lastNodeId;
        double rate = _plan.Sabotage == Sabotage.LeaseTooLong ? (nodeId % 2 == 0 ? 0.25 : 2)
            : _plan.Clocks == ClockFaults.None ? 1
            : 0.96 + (0.08 * _clockRates.NextDouble());
        var node = _cluster.Prepare(nodeId, new SimulatedDisk(), new TestClock(rate), founding);
        _cluster.Add(node);
        var member = new RunMember(
            node, _network, _watcher.Invariants, disk => Lie(disk, _plan.Sabotage));
        _members = [.. _members, member];
        return member;
    }

    private static void Lie(SimulatedDisk disk, Sabotage sabotage)
    {
        disk.Lags = sabotage == Sabotage.LogNotSynced
            ? path => path.EndsWith(".log", StringComparison.Ordinal)
            : null;
        disk.NamesLag = sabotage == Sabotage.VoteNotSynced
            ? path => path.EndsWith("/term", StringComparison.Ordinal)
            : null;
    }

    private void CheckHistory()
    {
        var operations = History.Operations;
        var registers = operations.Where(o => o.Kind != OperationKind.Append)
            .ToLookup(o => o.Key.StartsWith(FaultClients.CasPrefix, StringComparison.Ordinal));
        Require(RegisterChecker.Check([.. registers[false]], CheckLimit));
        Require(RegisterChecker.Check([.. registers[true]], CheckLimit));
        Require(AppendChecker.Check(operations, FinalLog()));
    }

    private void Require(CheckResult result)
    {
        if (result is not CheckResult.Linearizable)
        {
            _violations.Add($"{result}");
        }
    }

    // What was seen committed from the first entry on, applied once more: a copy of a request that
    // had no effect is no entry of anybody's. What was not seen is not held against anyone. By its
    // kind, because the bytes of a configuration may look like a command's (seed 310, of 3).
    private Dictionary<long, FinalEntry> FinalLog()
    {
        var seen = _watcher.Invariants.CommittedEntries;
        var machine = new StateMachine();
        var log = new Dictionary<long, FinalEntry>();
        while (seen.TryGetValue(log.Count + 1, out var entry))
        {
            bool hasEffect = true;
            if (entry.Kind == EntryKind.Command)
            {
                var result = machine.Apply(entry.Index, entry.Term, entry.Payload.Span);
                hasEffect = result.Status == StatusCode.Ok && result.Index == entry.Index;
            }
            else
            {
                machine.Skip(entry.Index, entry.Term);
            }

            string? value =
                hasEffect && entry.Kind == EntryKind.Command ? AppendedBy(entry) : null;
            log.Add(entry.Index, new FinalEntry(entry.Index, entry.Term, value));
        }

        Unseen = (seen.Count == 0 ? 0 : (int)seen.Keys.Max()) - log.Count;
        return log;
    }

    private static string? AppendedBy(SeenEntry entry) =>
        Command.TryDecode(entry.Payload.Span, out var command) == CommandDecodeStatus.Ok
            && command.Type == CommandType.Opaque
            ? Encoding.UTF8.GetString(command.Value)
            : null;
}
