// What a node measures and what it knows of the majority: figures that are real, and end.
using System.Diagnostics;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class MeasurementTests
{
    private readonly StillClock _clock = new();

    [Fact]
    public void NothingIsMeasuredBeforeTheFirstAnswer()
    {
        var trip = new RoundTrip(_clock);
        Assert.Null(trip.SmoothedMs);
        Assert.Null(trip.LeastMs);
    }

    [Fact]
    public void TheSmoothedRoundTripFollowsAndTheLeastDoesNot()
    {
        var trip = new RoundTrip(_clock);
        Answer(trip, 8);
        Assert.Equal(8, trip.SmoothedMs!.Value, 3);
        Answer(trip, 16);
        Assert.Equal(9, trip.SmoothedMs!.Value, 3);
        Assert.Equal(8, trip.LeastMs!.Value, 3);
        for (int i = 0; i < 100; i++)
        {
            Answer(trip, 40);
        }

        Assert.Equal(40, trip.SmoothedMs!.Value, 1);
        Assert.Equal(8, trip.LeastMs!.Value, 3);
    }

    [Fact]
    public void TheLeastRoundTripIsForgottenAfterTwoWindows()
    {
        var trip = new RoundTrip(_clock);
        Answer(trip, 1);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(1, trip.LeastMs!.Value, 3);
            _clock.Pass(i == 0 ? 5000 : 6000);
            Answer(trip, 30);
        }

        _clock.Pass(11_000);
        Answer(trip, 30);
        Assert.Equal(30, trip.LeastMs!.Value, 3);
    }

    [Fact]
    public void AFigureOlderThanAMinuteIsNotGiven()
    {
        var trip = new RoundTrip(_clock);
        Answer(trip, 5);
        _clock.Pass(59_000);
        Assert.NotNull(trip.SmoothedMs);
        _clock.Pass(2_000);
        Assert.Null(trip.SmoothedMs);
        Assert.Null(trip.LeastMs);
    }

    [Fact]
    public void TheMeanOfSyncsForgetsOldOnes()
    {
        var times = new SyncTimes();
        Assert.Null(times.MeanMs);
        times.Measured(Ago(20));
        Assert.InRange(times.MeanMs!.Value, 20, 30);
        times.Measured(Ago(40));
        Assert.InRange(times.MeanMs!.Value, 30, 40); // the first ones count alike
        for (int i = 0; i < 300; i++)
        {
            times.Measured(Ago(1));
        }

        Assert.InRange(times.MeanMs!.Value, 1, 3);
        Assert.Equal(302, times.Count);
    }

    [Theory]
    [InlineData(3, 2, true)] // of three, two do not answer: with this node one is left
    [InlineData(3, 1, false)] // one may still answer
    [InlineData(5, 2, false)]
    [InlineData(5, 3, true)]
    [InlineData(4, 2, true)] // two of four are no majority
    [InlineData(1, 0, false)]
    public void AMajorityIsMissingWhenTooManyWereAskedInVain(
        int members, int unreachable, bool isLost)
    {
        var view = new QuorumView(1000, _clock);
        view.Asked(members, unreachable, [1, 4]);
        Assert.Equal(isLost, view.LostUntilNs > LeaderLease.ToNs(_clock.GetTimestamp()));
        Assert.Equal([1, 4], view.Live!.NodeIds);
    }

    [Fact]
    public void WhatWasLostIsForgottenWithALeaderAndWithTime()
    {
        var view = new QuorumView(1000, _clock);
        Assert.Equal((0, null), (view.LostUntilNs, view.Live));
        view.Asked(3, 2, [1]);
        view.Follows();
        Assert.Equal((0, null), (view.LostUntilNs, view.Live));
        view.Asked(3, 2, [1]);
        view.Leads([1, 2]);
        Assert.Equal((0, 2), (view.LostUntilNs, view.Live?.NodeIds.Length));
        view.Asked(3, 2, [1]);
        _clock.Pass(4001);
        Assert.True(view.LostUntilNs < LeaderLease.ToNs(_clock.GetTimestamp()));
    }

    // Not how many they are: one may come for another.
    [Fact]
    public void TheLiveMembersAreWhatTheyAreSinceTheyWereOthers()
    {
        var view = new QuorumView(1000, _clock);
        view.Leads([1, 2]);
        long first = view.Live!.SinceNs;
        Assert.Equal(LeaderLease.ToNs(_clock.GetTimestamp()), first);
        _clock.Pass(5);
        view.Leads([1, 2]);
        Assert.Equal(first, view.Live.SinceNs);
        view.Leads([1, 3]);
        Assert.Equal(LeaderLease.ToNs(_clock.GetTimestamp()), view.Live.SinceNs);
    }

    [Fact]
    public void AFailureCountsUntilTheNextAnswerAndForAWhile()
    {
        var time = TimeSpan.FromSeconds(2);
        var contact = new PeerContact(_clock, time);
        Assert.False(contact.FailedWithin(time));
        contact.AttemptFailed();
        Assert.True(contact.FailedWithin(time));
        _clock.Pass(1);
        contact.Answered();
        Assert.False(contact.FailedWithin(time));
        _clock.Pass(1);
        contact.AttemptFailed();
        _clock.Pass(2001);
        Assert.False(contact.FailedWithin(time));
    }

    private void Answer(RoundTrip trip, int ms)
    {
        long sentAt = _clock.GetTimestamp();
        _clock.Pass(ms);
        trip.Measured(sentAt);
    }

    private static long Ago(int ms) =>
        Stopwatch.GetTimestamp() - (ms * Stopwatch.Frequency / 1000);
}
