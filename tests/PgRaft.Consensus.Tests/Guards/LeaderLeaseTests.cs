// The lease: from which acknowledgement it counts, for how long, and when there is none.
using System.Diagnostics;
using PgRaft.Consensus.Leadership;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class LeaderLeaseTests
{
    private const long Second = 1_000_000_000;

    [Theory]
    [InlineData(new long[] { 0, 0 }, 0)] // of three, nobody has answered
    [InlineData(new long[] { 5, 0 }, 5)] // of three, one has: with the leader a majority
    [InlineData(new long[] { 5, 7 }, 7)]
    [InlineData(new long[] { 9, 0, 0, 0 }, 0)] // of five, one is not enough
    [InlineData(new long[] { 9, 4, 0, 0 }, 4)] // of five, the older of the two that make it
    [InlineData(new long[] { 9, 4, 8, 2 }, 8)]
    [InlineData(new long[] { 3 }, 3)] // of two, both are needed
    [InlineData(new long[] { 6, 3, 0 }, 3)] // of four, three are needed
    public void CountsFromWhenAMajorityWasLastComplete(
        long[] acknowledgedSeconds, long sinceSeconds)
    {
        var lease = new LeaderLease(clockMargin: 0.1);
        lease.Begin(7);
        lease.Renew(7, [.. acknowledgedSeconds.Select(s => s * Stopwatch.Frequency)], 1000);
        long expected = sinceSeconds == 0 ? 0 : (sinceSeconds * Second) + (Second * 9 / 10);
        Assert.Equal(expected, lease.Current);
    }

    [Fact]
    public void ASoleVoterNeedsNobody()
    {
        var lease = new LeaderLease();
        lease.Begin(1);
        lease.Renew(1, [], 1000);
        Assert.Equal(LeaderLease.Unlimited, lease.Current);
    }

    [Fact]
    public void AcknowledgementsOfAnotherTermDoNotCount()
    {
        var contact = new PeerContact(TimeProvider.System, TimeSpan.FromSeconds(2));
        contact.Acknowledged(3, 100);
        Assert.Equal(100, contact.AcknowledgedAt(3));
        Assert.Equal(0, contact.AcknowledgedAt(4));
        contact.Acknowledged(4, 90);
        Assert.Equal(90, contact.AcknowledgedAt(4));
    }

    [Fact]
    public void ALeaseThatWasGivenUpIsNeverRenewedInItsTerm()
    {
        var lease = new LeaderLease();
        lease.Begin(5);
        lease.Renew(5, [5 * Stopwatch.Frequency], 1000);
        lease.Cede(5);
        Assert.Equal((0, 0, 5), (lease.Current, lease.Of(5), lease.CededTerm));
        lease.Renew(5, [6 * Stopwatch.Frequency], 1000);
        lease.Renew(5, [], 1000);
        lease.Begin(5);
        lease.Renew(5, [7 * Stopwatch.Frequency], 1000);
        Assert.Equal(0, lease.Current);
        lease.Begin(6);
        lease.Renew(6, [8 * Stopwatch.Frequency], 1000);
        Assert.NotEqual(0, lease.Of(6));
        lease.Cede(5);
        Assert.NotEqual(0, lease.Current);
    }

    [Fact]
    public void NothingRenewsALeaseThatEnded()
    {
        var lease = new LeaderLease();
        lease.Begin(1);
        lease.Renew(1, [5 * Stopwatch.Frequency], 1000);
        lease.End();
        lease.Renew(1, [6 * Stopwatch.Frequency], 1000);
        Assert.Equal(0, lease.Current);
        lease.Begin(2);
        lease.Renew(1, [6 * Stopwatch.Frequency], 1000);
        Assert.Equal(0, lease.Current);
    }
}
