// The clients of one stretch of a run, and what they share: keys, the recorded history, counts.
// Threading: members may be used from any thread. Failure: see the clients.

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
    bool StaleReads);

internal sealed class ClientPool : IAsyncDisposable
{
    /// <summary>Most clients there can be: the distance between the process numbers that one
    /// client uses.</summary>
    public const int MostClients = 100;

    private const int RegisterClientsPerNode = 2;

    private readonly ClientContext _context;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _clients;

    // The number of the stretch makes keys and values unique in the run.
    public ClientPool(ClientContext context, int epoch, int seed)
    {
        _context = context;
        Epoch = epoch;
        Seed = unchecked((seed * 1_000_003) + (epoch * MostClients));
        Keys = new KeySpace(epoch);
        _clients = Task.WhenAll(MakeClients().Select(c => Task.Run(() => c.RunAsync(_stop.Token))));
    }

    public int Epoch { get; }

    public int Seed { get; }

    public KeySpace Keys { get; }

    public History History { get; } = new();

    public Tally Tally => _context.Tally;

    public LogAudit Audit => _context.Audit;

    public Findings Findings => _context.Findings;

    /// <summary>What reads ask for; the negative control takes local state for more than it is.
    /// </summary>
    public string Consistency => _context.StaleReads ? "local" : "linearizable";

    /// <summary>Nanoseconds on a clock that all clients share.</summary>
    public static long Now()
    {
        return (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
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
        }
    }
}
