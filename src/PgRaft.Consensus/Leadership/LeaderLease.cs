// Until when no other member can have become leader.
//
// A voter that accepted a heartbeat refuses its vote for its lower election timeout afterwards, and
// so does a voter in its first lower election timeout after a start, since it may have forgotten.
// The heartbeat was accepted after it was sent: so from the send times that a majority has
// acknowledged, the lease runs for the shortest of those timeouts, less a margin for clocks that do
// not run alike (Ongaro 2014 §6.4.1).
//
// A leader that lets another member stand before that time is over gives up the lease of its term
// first, and for good: what it allowed cannot be taken back, and may be used at any later time. It
// holds a lease again in a term of its own that comes later, or not at all.
// Threading: any thread; Current is one atomic read. Failure: none.
using System.Diagnostics;

namespace PgRaft.Consensus.Leadership;

/// <summary>The leader's lease.</summary>
/// <param name="clockMargin">Part of the election timeout kept in hand, 0..1.</param>
internal sealed class LeaderLease(double clockMargin = 0.1)
{
    /// <summary>
    /// What a sole voter's lease is: nobody else can be elected without its vote.
    /// </summary>
    public const long Unlimited = long.MaxValue;

    private readonly Lock _gate = new();
    private long _deadlineNs;
    private long _term;
    private long _cededTerm;

    /// <summary>End of the lease, CLOCK_MONOTONIC nanoseconds; 0 = no lease.</summary>
    public long Current => Volatile.Read(ref _deadlineNs);

    /// <summary>Newest term whose lease was given up for good; 0 = none.</summary>
    public long CededTerm => Volatile.Read(ref _cededTerm);

    /// <summary>This node leads a term from now on.</summary>
    public void Begin(long term)
    {
        lock (_gate)
        {
            _term = term;
            Volatile.Write(ref _deadlineNs, 0);
        }
    }

    /// <summary>This node does not lead.</summary>
    public void End()
    {
        lock (_gate)
        {
            _term = 0;
            Volatile.Write(ref _deadlineNs, 0);
        }
    }

    /// <summary>Gives up the lease of a term: there is none in it from now on, whatever peers
    /// acknowledge.</summary>
    public void Cede(long term)
    {
        lock (_gate)
        {
            Volatile.Write(ref _cededTerm, Math.Max(_cededTerm, term));
            if (_term <= term)
            {
                Volatile.Write(ref _deadlineNs, 0);
            }
        }
    }

    /// <summary>End of the lease of one term; 0 = none.</summary>
    public long Of(long term)
    {
        lock (_gate)
        {
            return _term == term ? _deadlineNs : 0;
        }
    }

    /// <summary>Recomputes the lease from what peers acknowledged in a term.</summary>
    /// <param name="term">Ignored unless it is the term this node leads.</param>
    /// <param name="acknowledged">Per peer the send time (Stopwatch) it acknowledged, 0 =
    /// none.</param>
    /// <param name="shortestTimeoutMs">Shortest lower election timeout of all voters.</param>
    public void Renew(long term, ReadOnlySpan<long> acknowledged, int shortestTimeoutMs)
    {
        long deadline = acknowledged.IsEmpty
            ? Unlimited
            : Deadline(acknowledged, shortestTimeoutMs);
        lock (_gate)
        {
            if (_term == term && term > _cededTerm)
            {
                Volatile.Write(ref _deadlineNs, deadline);
            }
        }
    }

    /// <summary>Stopwatch ticks as nanoseconds.</summary>
    public static long ToNs(long timestamp) =>
        (long)(timestamp * (1_000_000_000.0m / Stopwatch.Frequency));

    /// <summary>Since when a majority, this node included, has acknowledged.</summary>
    /// <param name="acknowledged">Per peer the send time (Stopwatch) it acknowledged, 0 = none.
    /// </param>
    /// <returns>A send time, 0 = never, or <see cref="long.MaxValue"/> when there are no peers.
    /// </returns>
    public static long MajoritySince(ReadOnlySpan<long> acknowledged)
    {
        if (acknowledged.IsEmpty)
        {
            return long.MaxValue;
        }

        // Of n voters this node is one: with (n / 2) acknowledgements of others there is a
        // majority, and the oldest of the newest n / 2 is when it was last complete.
        Span<long> sorted = stackalloc long[acknowledged.Length];
        acknowledged.CopyTo(sorted);
        sorted.Sort();
        int othersNeeded = (acknowledged.Length + 1) / 2;
        return sorted[^othersNeeded];
    }

    private long Deadline(ReadOnlySpan<long> acknowledged, int shortestTimeoutMs)
    {
        long since = MajoritySince(acknowledged);
        return since == 0
            ? 0
            : ToNs(since) + (long)(shortestTimeoutMs * 1_000_000L * (1 - clockMargin));
    }
}
