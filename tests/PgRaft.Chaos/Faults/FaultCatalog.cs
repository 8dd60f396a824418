// The kinds of faults by name, and how often each is chosen. Threading: no state. Failure: none.

namespace PgRaft.Chaos.Faults;

internal static class FaultCatalog
{
    private sealed record Kind(string Name, int Weight, Func<FaultContext, Fault> Make);

    private static readonly Kind[] All =
    [
        new("partition", 4, c => new Partition(c)),
        new("isolated-leader", 4, c => new IsolatedLeader(c)),
        new("one-way-cut", 4, c => new OneWayCut(c)),
        new("bridge-node", 3, c => new BridgeNode(c)),
        new("slow-node", 3, c => new SlowNode(c)),
        new("slow-network", 2, c => new SlowNetwork(c)),
        new("kill-worker", 3, c => new KilledWorker(c)),
        new("kill-server", 4, c => new KilledServer(c)),
        new("kill-all", 2, c => new KilledCluster(c)),
        new("stop-leader", 3, c => new StoppedLeader(c)),
        new("freeze-server", 4, c => new FrozenServer(c)),
        new("freeze-worker", 4, c => new FrozenWorker(c)),
        new("disk-full", 3, c => new FullDisk(c)),
        new("hung-disk", 4, c => new HungDisk(c)),
        new("transfer", 3, c => new RestlessLeadership(c)),
        new("replace-member", 3, c => new ReplacedMember(c)),
        new("flip-log", 1, c => new FlippedLog(c)),
        new("cut-log", 1, c => new CutLog(c)),
        new("flip-term", 1, c => new FlippedTerm(c)),
        new("flip-snapshot", 1, c => new FlippedSnapshot(c)),
        new("torn-log", 2, c => new TornLog(c)),
    ];

    public static IReadOnlyList<string> Kinds { get; } = [.. All.Select(k => k.Name)];

    /// <summary>Those that need a network that can be cut.</summary>
    public static IReadOnlyList<string> NetworkKinds { get; } =
    [
        "partition", "isolated-leader", "one-way-cut", "bridge-node", "slow-node", "slow-network",
    ];

    /// <summary>One of the named kinds, by their weights.</summary>
    public static (string Kind, Fault Fault) Choose(
        IReadOnlyCollection<string> kinds, FaultContext context)
    {
        var allowed = All.Where(k => kinds.Contains(k.Name)).ToArray();
        var left = context.Random.Next(allowed.Sum(k => k.Weight));
        var chosen = allowed.First(k => (left -= k.Weight) < 0);
        return (chosen.Name, chosen.Make(context));
    }
}
