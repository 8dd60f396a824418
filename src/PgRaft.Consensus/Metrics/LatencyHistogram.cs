// Counts durations by bucket, for Prometheus.
// Threading: any thread, lock-free; a reader may see a duration in its bucket a moment before it
// is in the sum. Failure: none.
using System.Diagnostics;

namespace PgRaft.Consensus.Metrics;

/// <summary>A histogram of durations. Nothing is allocated when one is recorded.</summary>
public sealed class LatencyHistogram
{
    // From a fast disk's sync to an election timeout: a factor of two to two and a half each.
    private static readonly double[] Bounds =
    [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
        10,
    ];

    private readonly long[] _counts = new long[Bounds.Length + 1];
    private long _sumTicks;

    /// <summary>Upper bounds of the buckets but the last, in seconds, ascending.</summary>
    public static ReadOnlySpan<double> BoundsSeconds => Bounds;

    /// <summary>Sum of what was recorded, in seconds.</summary>
    public double SumSeconds =>
        (double)Interlocked.Read(ref _sumTicks) / Stopwatch.Frequency;

    /// <summary>How many were recorded.</summary>
    public long Count
    {
        get
        {
            long count = 0;
            for (int i = 0; i < _counts.Length; i++)
            {
                count += Interlocked.Read(ref _counts[i]);
            }

            return count;
        }
    }

    /// <summary>Recorded in one bucket, without those below it.</summary>
    /// <param name="bucket">0 to the number of bounds, which is the bucket without an end.</param>
    public long CountIn(int bucket) => Interlocked.Read(ref _counts[bucket]);

    /// <summary>Records the time since a moment.</summary>
    /// <param name="startTimestamp">Of <see cref="Stopwatch.GetTimestamp"/>.</param>
    public void RecordSince(long startTimestamp) =>
        Record(Stopwatch.GetTimestamp() - startTimestamp);

    /// <summary>Records a duration.</summary>
    /// <param name="ticks">Of <see cref="Stopwatch"/>.</param>
    public void Record(long ticks)
    {
        double seconds = (double)ticks / Stopwatch.Frequency;
        int bucket = 0;
        while (bucket < Bounds.Length && seconds > Bounds[bucket])
        {
            bucket++;
        }

        Interlocked.Increment(ref _counts[bucket]);
        Interlocked.Add(ref _sumTicks, ticks);
    }
}
