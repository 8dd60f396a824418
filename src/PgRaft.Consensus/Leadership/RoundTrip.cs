// How long a peer takes to answer this node's appends, as the leader measures it anyway.
//
// Two figures, because they answer two questions. The smoothed one follows what an append really
// takes, the sync of its entries included: what an election timeout must be long against (Ongaro
// 2014 §3.9, "broadcast time"). The least of the last seconds leaves out disks and waiting: it is
// the network's latency.
// Threading: one writer, the task that replicates to the peer; any reader. Nothing is allocated.
// Failure: none; a figure that is older than a minute is not given any more.
namespace PgRaft.Consensus.Leadership;

/// <summary>Measured round trips to one peer.</summary>
internal sealed class RoundTrip(TimeProvider clock)
{
    /// <summary>Part of a new sample in the smoothed figure, as TCP has it (RFC 6298).</summary>
    private const double Gain = 1.0 / 8;

    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(1);
    private double _smoothedMs;
    private double _leastMs;
    private double _leastBeforeMs = double.MaxValue;
    private long _windowBegan;
    private long _lastAt;

    /// <summary>Smoothed time from sending an append to its answer, in ms; null = not measured in
    /// the last minute.</summary>
    public double? SmoothedMs => IsFresh ? Volatile.Read(ref _smoothedMs) : null;

    /// <summary>Least such time of the last 10 to 20 s with a measurement, in ms; null = not
    /// measured in the last minute.</summary>
    public double? LeastMs => IsFresh
        ? Math.Min(Volatile.Read(ref _leastMs), Volatile.Read(ref _leastBeforeMs))
        : null;

    private bool IsFresh =>
        Volatile.Read(ref _lastAt) is var last and not 0 && clock.GetElapsedTime(last) < Lifetime;

    /// <summary>An append that was sent at a time has just been answered.</summary>
    /// <param name="sentAt">Timestamp of the node's clock.</param>
    public void Measured(long sentAt)
    {
        long now = clock.GetTimestamp();
        double ms = clock.GetElapsedTime(sentAt, now).TotalMilliseconds;
        bool isFirst = _lastAt == 0;
        Volatile.Write(
            ref _smoothedMs, isFirst ? ms : _smoothedMs + (Gain * (ms - _smoothedMs)));
        if (isFirst || clock.GetElapsedTime(_windowBegan, now) >= Window)
        {
            _windowBegan = now;
            Volatile.Write(ref _leastBeforeMs, isFirst ? double.MaxValue : _leastMs);
            Volatile.Write(ref _leastMs, ms);
        }
        else if (ms < _leastMs)
        {
            Volatile.Write(ref _leastMs, ms);
        }

        Volatile.Write(ref _lastAt, now == 0 ? 1 : now);
    }
}
