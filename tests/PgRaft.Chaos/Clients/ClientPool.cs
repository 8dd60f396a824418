// The clients of one stretch of a run, and what they share: keys, the recorded history, counts.
// Threading: members may be used from any thread. Failure: see the clients.

using System.Collections.Concurrent;
using System.Diagnostics;
using PgRaft.Chaos.Checks;
using PgRaft.Chaos.Nodes;
using PgRaft.Histories;

namespace PgRaft.Chaos.Clients;

/// <summary>What the clients of all stretches of a run share.</summary>
internal sealed record ClientContext(
    ChaosCluster Cluster,
    Findings Findings,
    Tally Tally,
    LogAudit Audit,
    Availability Availability,
    ChaosOptions Options)
{
    private int _lastProcess;
    private long _newestTerm;

    /// <summary>A process that made no call yet.</summary>
    public int NextProcess()
    {
        return Interlocked.Increment(ref _lastProcess) - 1;
    }

    /// <summary>The newest term under which an append was acknowledged; 0 = none yet.</summary>
    public long NewestTerm => Volatile.Read(ref _newestTerm);

    public void SawTerm(long term)
    {
        var newest = NewestTerm;
        while (term > newest)
        {
            var found = Interlocked.CompareExchange(ref _newestTerm, term, newest);
            newest = found == newest ? term : found;
        }
    }
}

internal sealed class ClientPool : IAsyncDisposable
{
    /// <summary>Most clients there can be: the distance between the seeds of two stretches.
    /// </summary>
    private const int MostClients = 100;

    private const int RegisterClientsPerNode = 2;

    private readonly ClientContext _context;
    private readonly ConcurrentDictionary<string, long> _revisions = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _clients;

    // The number of the stretch makes keys and values unique in the run.
    public ClientPool(ClientContext context, int epoch, int seed)
    {
        _context = context;
        Epoch = epoch;
        Seed = unchecked((seed * 1_000_003) + (epoch * MostClients));
        Keys = new KeySpace($"{epoch}");
        SwappedKeys = new KeySpace($"{epoch}/swapped");
        _clients = Task.WhenAll(MakeClients().Select(c => Task.Run(() => c.RunAsync(_stop.Token))));
    }

    public int Epoch { get; }

    public int Seed { get; }

    /// <summary>Keys that are only put and read.</summary>
    public KeySpace Keys { get; }

    /// <summary>Keys that are swapped.</summary>
    public KeySpace SwappedKeys { get; }

    public History History { get; } = new();

    public Tally Tally => _context.Tally;

    public LogAudit Audit => _context.Audit;

    public Findings Findings => _context.Findings;

    /// <summary>What reads ask for; the negative control takes local state for more than it is.
    /// </summary>
    public string Consistency => _context.Options.StaleReads ? "local" : "linearizable";

    /// <summary>The other negative control: swaps are puts.</summary>
    public bool ComparesNothing => _context.Options.BlindSwaps;

    /// <summary>The newest term under which an append was acknowledged; 0 = none yet.</summary>
    public long NewestTerm => _context.NewestTerm;

    /// <summary>Nanoseconds on a clock that all clients share.</summary>
    public static long Now()
    {
        return (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
    }

    /// <summary>The revision of a value, 0 of an absent one; null where nobody was told.</summary>
    public long? RevisionOf(string? value)
    {
        return value is null ? 0 : _revisions.TryGetValue(value, out var known) ? known : null;
    }

    /// <summary>Somebody was told the revision of a value.</summary>
    public void Told(string value, long revision)
    {
        _revisions[value] = revision;
    }

    public int NextProcess()
    {
        return _context.NextProcess();
    }

    public void SawTerm(long term)
    {
        _context.SawTerm(term);
    }

    public void Acknowledged()
    {
        Tally.Succeeded();
        _context.Availability.Acknowledged();
    }

    /// <summary>Stops the clients; every call has ended when this returns.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _clients;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private IEnumerable<ChaosClient> MakeClients()
    {
        var number = 0;
        foreach (var node in _context.Cluster.Nodes)
        {
            for (var i = 0; i < RegisterClientsPerNode; i++)
            {
                yield return new RegisterClient(node, this, number++);
            }

            yield return new AppendClient(node, this, number++);
            yield return new CasClient(node, this, number++);
        }
    }
}
