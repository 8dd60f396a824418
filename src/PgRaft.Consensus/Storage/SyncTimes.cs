// How long the disk takes to sync the log, from the log's own syncs: a mean in which older syncs
// count less and less.
// Threading: one writer, the log's thread; any reader. Nothing is allocated. Failure: none.
using System.Diagnostics;

namespace PgRaft.Consensus.Storage;

/// <summary>Measured syncs of the log.</summary>
public sealed class SyncTimes
{
    // The last 32 syncs make up two thirds of the mean.
    private const double Gain = 1.0 / 32;
    private double _meanMs;
    private long _count;

    /// <summary>Syncs measured since the log was opened.</summary>
    public long Count => Volatile.Read(ref _count);

    /// <summary>Decaying mean in ms; null before the first sync.</summary>
    public double? MeanMs => Count == 0 ? null : Volatile.Read(ref _meanMs);

    internal void Measured(long startedAt)
    {
        double ms = Stopwatch.GetElapsedTime(startedAt).TotalMilliseconds;

        // The first ones count alike, or the very first would weigh on dozens after it.
        double gain = Math.Max(Gain, 1.0 / (_count + 1));
        Volatile.Write(ref _meanMs, _meanMs + (gain * (ms - _meanMs)));
        Volatile.Write(ref _count, _count + 1);
    }
}
