// Durations fall into the buckets they belong to.
using System.Diagnostics;
using PgRaft.Consensus.Metrics;
using Xunit;

namespace PgRaft.Consensus.Tests.Metrics;

public sealed class LatencyHistogramTests
{
    [Theory]
    [InlineData(0.00005, 0)]
    [InlineData(0.0001, 0)]
    [InlineData(0.00011, 1)]
    [InlineData(0.3, 11)]
    [InlineData(10, 15)]
    [InlineData(11, 16)]
    public void ADurationIsInTheFirstBucketThatHoldsIt(double seconds, int bucket)
    {
        var histogram = new LatencyHistogram();

        histogram.Record((long)(seconds * Stopwatch.Frequency));

        Assert.Equal(1, histogram.CountIn(bucket));
        Assert.Equal(1, histogram.Count);
        Assert.Equal(seconds, histogram.SumSeconds, 6);
    }

    [Fact]
    public void BucketsRise() => Assert.Equal(
        LatencyHistogram.BoundsSeconds.ToArray().Order(),
        LatencyHistogram.BoundsSeconds.ToArray());
}
