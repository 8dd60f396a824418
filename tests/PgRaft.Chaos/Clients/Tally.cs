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

    public long Ok => Volatile.Read(ref _ok);

    public long Failed => Volatile.Read(ref _failed);

    public long Unknown => Volatile.Read(ref _unknown);

    /// <summary>Failed calls by SQLSTATE, most frequent first.</summary>
    public IEnumerable<KeyValuePair<string, long>> Errors =>
        _errors.OrderByDescending(e => e.Value);

    public void Succeeded()
    {
        Interlocked.Increment(ref _ok);
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
