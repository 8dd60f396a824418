// Lets things go wrong, one or two at a time, by a seeded plan: which fault, for how long, what
// beside it, how long a rest. Whom it hits is chosen by the plan too, but who leads at that time,
// and what the cluster makes of it, is the machine's: a seed repeats the plan, not the run.
//
// Threading: one task. Failure: a fault that cannot be put right is a violation.

using PgRaft.Chaos.Checks;
using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Faults;

internal sealed class Nemesis(
    ChaosCluster cluster, Findings findings, ChaosOptions options, Availability availability)
{
    private const int TwoAtOncePercent = 35;
    private const int ShortestMs = 1000;
    private const int LongestMs = 7000;
    private const int LongestRestMs = 4000;
    private const int MostTries = 20;

    private readonly Dictionary<string, int> _counts = [];
    private int _round;
    private readonly List<(string Kind, Fault Fault)> _underWay = [];

    /// <summary>How often each kind was injected.</summary>
    public IReadOnlyDictionary<string, int> Counts => _counts;

    /// <summary>Injects and heals until the time is over; then nothing is wrong any more.
    /// </summary>
    public async Task RunAsync(TimeSpan time)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(findings.Stopped);
        over.CancelAfter(time);
        while (!over.IsCancellationRequested)
        {
            // A sequence of its own for each round: what one round draws depends on the state it
            // finds, and the rounds after it shall not.
            var random = new Random(unchecked((options.Seed * 1_000_003) + _round++));
            await RoundAsync(new FaultContext(cluster, random, findings), over.Token);
        }
    }

    private async Task RoundAsync(FaultContext context, CancellationToken over)
    {
        var faults = context.Random.Next(100) < TwoAtOncePercent ? 2 : 1;
        var rest = context.Random.Next(LongestRestMs);
        int[] times = [NextTime(context.Random), NextTime(context.Random)];
        try
        {
            for (var i = 0; i < faults; i++)
            {
                await InjectAsync(context);
                await PauseAsync(times[i] / faults, over);
            }
        }
        finally
        {
            await HealAllAsync();
        }

        await PauseAsync(rest, over);
    }

    private static int NextTime(Random random)
    {
        return random.Next(ShortestMs, LongestMs);
    }

    private async Task InjectAsync(FaultContext context)
    {
        if (!TryChoose(context, out var kind, out var fault))
        {
            return;
        }

        _underWay.Add((kind, fault));
        _counts[kind] = _counts.GetValueOrDefault(kind) + 1;
        findings.Event($"{kind}: {fault.Description}");
        availability.Expect(!fault.IsOfNetwork && cluster.MajorityIsHealthy());
        await AttemptAsync(kind, "injected", fault.InjectAsync);
        availability.Expect(cluster.MajorityIsHealthy());
    }

    private bool TryChoose(FaultContext context, out string kind, out Fault fault)
    {
        var kinds = options.Faults.Where(Possible).ToArray();
        for (var i = 0; kinds.Length > 0 && i < MostTries; i++)
        {
            (kind, fault) = FaultCatalog.Choose(kinds, context);
            var underWay = _underWay.Select(f => f.Fault);
            if (HasRoom(fault, underWay, cluster.Nodes.Count) && fault.TryChoose())
            {
                return true;
            }
        }

        (kind, fault) = ("", null!);
        return false;
    }

    /// <summary>Whether a fault can be put right beside others. What takes a member's data from it
    /// needs a majority of the others, so there may be no more of them than failures are tolerated.
    /// </summary>
    internal static bool HasRoom(Fault fault, IEnumerable<Fault> underWay, int members)
    {
        var needy = underWay.Count(f => f.NeedsMajority);
        return (!fault.IsOfNetwork || !underWay.Any(f => f.IsOfNetwork))
            && (!fault.NeedsMajority || needy < (members - 1) / 2);
    }

    private bool Possible(string kind)
    {
        return cluster.Links is not null || !FaultCatalog.NetworkKinds.Contains(kind);
    }

    private async Task HealAllAsync()
    {
        foreach (var (kind, fault) in _underWay.OrderBy(f => f.Fault.NeedsMajority).ToArray())
        {
            await AttemptAsync(kind, "healed", fault.HealAsync);
            fault.Release();
            findings.Event($"{kind} healed");
            availability.Expect(cluster.MajorityIsHealthy());
        }

        _underWay.Clear();
    }

    private async Task AttemptAsync(string kind, string what, Func<Task> act)
    {
        try
        {
            await act();
        }
        catch (Exception e) when (e is TimeoutException or InvalidOperationException
            or IOException or Npgsql.NpgsqlException)
        {
            findings.Violation($"{kind} cannot be {what}: {e.Message}");
        }
    }

    private static async Task PauseAsync(int milliseconds, CancellationToken over)
    {
        try
        {
            await Task.Delay(milliseconds, over);
        }
        catch (OperationCanceledException)
        {
            // The time is over; what is wrong is put right now.
        }
    }
}
