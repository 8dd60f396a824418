// Counts what clients' calls came to. Threading: any thread. Failure: none.

using System.Collections.Concurrent;
using PgRaft.Histories;

namespace PgRaft.Chaos.Clients;

internal sealed class Tally
{
    private readonly ConcurrentDictionary<string, long> _errors = new();
    private long _ok;
    private long _failed;
    private long _unknown;
    private long _staleRefused;

    public long Ok => Volatile.Read(ref _ok);

    public long Failed => Volatile.Read(ref _failed);

    public long Unknown => Volatile.Read(ref _unknown);

    /// <summary>Appends under a term that was over which were refused, as they all must be.
    /// </summary>
    public long StaleRefused => Volatile.Read(ref _staleRefused);

    /// <summary>Failed calls by SQLSTATE, most frequent first.</summary>
    public IEnumerable<KeyValuePair<string, long>> Errors =>
        _errors.OrderByDescending(e => e.Value);

    public void Succeeded()
    {
        Interlocked.Increment(ref _ok);
    }

    /// <summary>An append under a term that was over; one that succeeded is the checker's matter.
    /// </summary>
    public void StaleAppendEnded(Outcome outcome)
    {
        if (outcome == Outcome.Failed)
        {
            Interlocked.Increment(ref _staleRefused);
        }
    }

    public void Ended(Exception failure, Outcome outcome)
    {
        _errors.AddOrUpdate(Outcomes.NameOf(failure), 1, (_, count) => count + 1);
        if (outcome == Outcome.Failed)
        {
            Interlocked.Increment(ref _failed);
        }
        else
        {
            Interlocked.Increment(ref _unknown);
        }
    }
}
