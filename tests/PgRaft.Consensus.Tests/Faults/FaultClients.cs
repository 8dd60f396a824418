// The clients of a fault run, and what they share: keys, values, the history of their calls.
// Threading: a task a client; the members may be used from any thread. Failure: see FaultClient.
using System.Diagnostics;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Histories;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FaultClients
{
    /// <summary>What the keys begin with that are only put and read.</summary>
    public const string RegisterPrefix = "k";

    /// <summary>What the keys begin with that are swapped as well.</summary>
    public const string CasPrefix = "c";

    private const int Clients = 6;
    private readonly TestCluster _cluster;
    private readonly FaultPlan _plan;
    private readonly CancellationToken _ended;
    private readonly FaultClient _last;
    private int _lastValue;
    private int _lastProcess;
    private long _lastAcknowledgedCallNs;

    public FaultClients(
        TestCluster cluster, FaultPlan plan, History history, CancellationToken ended)
    {
        _cluster = cluster;
        _plan = plan;
        _ended = ended;
        History = history;
        _last = new FaultClient(this, plan, Clients, repeats: true);
    }

    public History History { get; }

    /// <summary>Now, on the clock of the history.</summary>
    public static long NowNs => LeaderLease.ToNs(Stopwatch.GetTimestamp());

    /// <summary>When the latest of the writes that succeeded was called.</summary>
    public long LastAcknowledgedCallNs => Volatile.Read(ref _lastAcknowledgedCallNs);

    public static bool Leads(TestNode node)
    {
        try
        {
            return node.Node.View.Tenure is not null;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    public Task RunAsync() => Task.WhenAll(Enumerable.Range(0, Clients).Select(c => Task.Run(
        () => ClientAsync(new FaultClient(this, _plan, c, repeats: c % 3 != 0)))));

    /// <summary>One put by a client of its own.</summary>
    public Task<Outcome> PutAsync(TestNode target) => _last.PutAsync(target, $"{RegisterPrefix}0");

    /// <summary>One append by a client of its own.</summary>
    public Task<Outcome> AppendAsync(TestNode target) => _last.AppendAsync(target);

    /// <summary>A value that nobody else writes.</summary>
    public string NextValue() => $"{Interlocked.Increment(ref _lastValue)}";

    /// <summary>A process that made no call yet.</summary>
    public int NextProcess() => Interlocked.Increment(ref _lastProcess) - 1;

    /// <summary>Writes down a call that has ended.</summary>
    public void Add(Operation done)
    {
        History.Add(done);
        if (done is { Outcome: Outcome.Ok, Kind: not OperationKind.Get })
        {
            InterlockedMax(ref _lastAcknowledgedCallNs, done.CallNs);
        }
    }

    /// <summary>Somebody who is up: mostly one that leads.</summary>
    public TestNode? Target(Random random)
    {
        var up = _cluster.Nodes.Where(n => n.IsUp).ToArray();
        return up.Length == 0
            ? null
            : up.FirstOrDefault(n => random.Next(4) > 0 && Leads(n)) ?? up[random.Next(up.Length)];
    }

    private async Task ClientAsync(FaultClient client)
    {
        while (!_ended.IsCancellationRequested)
        {
            if (Target(client.Random) is { } target)
            {
                await client.OperateAsync(target);
            }

            // Clients are people, not a load test: the checker's work grows with their haste.
            await Task.Delay(client.Random.Next(1, 8), CancellationToken.None);
        }
    }

    private static void InterlockedMax(ref long location, long value)
    {
        long seen = Volatile.Read(ref location);
        while (value > seen)
        {
            long found = Interlocked.CompareExchange(ref location, value, seen);
            seen = found == seen ? value : found;
        }
    }
}
