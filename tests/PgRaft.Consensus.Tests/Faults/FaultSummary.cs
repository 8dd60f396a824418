// Adds up what runs did and found, prints it, and keeps the histories of those that failed, or of
// all.
// Threading: any thread. Failure: a history that cannot be written is said so in the summary.
using System.Globalization;
using System.Text;
using PgRaft.Histories;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FaultSummary
{
    private readonly Lock _gate = new();
    private readonly List<string> _violations = [];
    private readonly SortedDictionary<string, int> _faults = new(StringComparer.Ordinal);
    private int _runs;
    private int _terms;
    private int _changes;
    private int _unknown;
    private int _failed;
    private int _unseen;
    private int _lostFrames;
    private int _lateFrames;
    private TimeSpan _longestTakeover;

    /// <summary>Whether histories of runs that failed are kept.</summary>
    public bool Keeps { get; init; } = true;

    /// <summary>Whether those of all others are kept too.</summary>
    public bool KeepsAll { get; init; }

    /// <summary>Where they are kept, a directory a run.</summary>
    public string Directory { get; init; } =
        Environment.GetEnvironmentVariable("PGRAFT_FAULT_KEEP")
            ?? Path.Combine(AppContext.BaseDirectory, "fault-runs");

    public int Operations { get; private set; }

    public IReadOnlyList<string> Violations
    {
        get
        {
            lock (_gate)
            {
                return [.. _violations];
            }
        }
    }

    /// <summary>The file of a run's history.</summary>
    public string HistoryOf(FaultPlan plan) => Path.Combine(DirectoryOf(plan), "history.jsonl");

    /// <summary>Mostly three members, often five, at times seven.</summary>
    public static int SizeOf(int seed) => (seed % 10) switch
    {
        < 5 => 3,
        < 8 => 5,
        _ => 7,
    };

    public async Task<IReadOnlyList<string>> RunAsync(FaultPlan plan)
    {
        await using var run = new FaultRun(plan);
        await run.ExecuteAsync();
        Add(plan, run);
        return run.Violations;
    }

    /// <summary>A run whose beginning and end are written to standard error.</summary>
    public async Task RunAloudAsync(FaultPlan plan)
    {
        Console.Error.WriteLine($"begin {plan}");
        var found = await RunAsync(plan);
        long megabytes = GC.GetTotalMemory(forceFullCollection: false) >> 20;
        Console.Error.WriteLine(
            $"end   {plan}: {found.Count} violations (of all so far: {Violations.Count} in {_runs} "
            + $"runs, {megabytes} MB)");
    }

    public override string ToString()
    {
        lock (_gate)
        {
            var text = new StringBuilder();
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"{_runs} runs, {Operations} operations ({_unknown} of unknown outcome, {_failed} "
                + $"refused), {_faults.Values.Sum()} faults, {_terms} leaders elected, {_changes} "
                + $"membership changes, {_violations.Count} violations; at most "
                + $"{_longestTakeover.TotalMilliseconds:F0} ms without a write for a hung disk; "
                + $"{_unseen} log entries compacted unseen or after such; {_lostFrames} frames "
                + $"lost, {_lateFrames} delivered again");
            foreach (var (kind, count) in _faults)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"  {count,6} {kind}");
            }

            _violations.ForEach(v => text.AppendLine(v));
            return text.ToString();
        }
    }

    private void Add(FaultPlan plan, FaultRun run)
    {
        var operations = run.History.Operations;
        var violations = run.Violations;
        bool keep = KeepsAll || (Keeps && violations.Count > 0);
        string? kept = keep ? Keep(plan, run) : null;
        lock (_gate)
        {
            _runs++;
            _terms += run.Terms;
            _changes += run.MembershipChanges;
            _unseen += run.Unseen;
            _lostFrames += run.LostFrames;
            _lateFrames += run.LateFrames;
            _longestTakeover = _longestTakeover > run.LongestTakeover
                ? _longestTakeover
                : run.LongestTakeover;
            Operations += operations.Count;
            _unknown += operations.Count(o => o.Outcome == Outcome.Unknown);
            _failed += operations.Count(o => o.Outcome == Outcome.Failed);
            foreach (var (kind, count) in run.FaultKinds)
            {
                _faults[kind] = _faults.GetValueOrDefault(kind) + count;
            }

            _violations.AddRange(violations.Select(v => $"{plan}: {v}\n  kept in {kept}; replay: "
                + $"make fault-runs RUNS=1 SEED={plan.Seed} SIZE={plan.Size}"));
        }
    }

    private string DirectoryOf(FaultPlan plan) =>
        Path.Combine(Directory, $"seed-{plan.Seed}-size-{plan.Size}");

    private string Keep(FaultPlan plan, FaultRun run)
    {
        string directory = DirectoryOf(plan);
        try
        {
            System.IO.Directory.CreateDirectory(directory);
            run.History.WriteJsonLines(HistoryOf(plan));
            File.WriteAllText(Path.Combine(directory, "log.txt"), run.Log);
            File.WriteAllLines(Path.Combine(directory, "violations.txt"), run.Violations);
            return directory;
        }
        catch (IOException e)
        {
            return $"nothing ({e.Message})";
        }
    }
}
