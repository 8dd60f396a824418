// Since when a member is alive, or not, or neither is known: by what was heard, and by the end of
// the time for which that counts.
using PgRaft.Consensus.Leadership;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class PresenceTests
{
    private readonly StillClock _clock = new();
    private readonly Presence _presence;
    private readonly DateTimeOffset _begin;

    public PresenceTests()
    {
        _presence = new Presence(TimeSpan.FromMilliseconds(2000), _clock);
        _begin = _clock.GetUtcNow();
    }

    [Fact]
    public void WhoWasNeverHeardNorAskedIsNotKnownAndNoTimeIsInvented()
    {
        Assert.Equal(new Liveness(null, null), _presence.Now);
        Assert.Equal(0, _presence.HeardAt);
    }

    [Fact]
    public void WhoIsHeardAgainAndAgainIsAliveSinceTheFirstTime()
    {
        for (int i = 0; i < 10; i++)
        {
            _presence.Heard();
            Assert.Equal(Is(true, 0), _presence.Now);
            _clock.Pass(1500);
        }

        Assert.Equal(_clock.GetTimestamp(), _presence.HeardAt + Ticks(1500));
    }

    [Fact]
    public void SilenceWithoutAQuestionIsUnknownSinceTheLastSignOfLifeIsTooOld()
    {
        _presence.Heard();
        _clock.Pass(1999);
        Assert.Equal(Is(true, 0), _presence.Now);
        _clock.Pass(5000);
        Assert.Equal(Is(null, 2000), _presence.Now);
        _presence.Heard();
        Assert.Equal(Is(true, 6999), _presence.Now);
    }

    [Fact]
    public void WhoIsAskedInVainIsNotAliveSinceTheLastSignOfLifeIsTooOld()
    {
        _presence.Heard();
        for (int i = 0; i < 7; i++)
        {
            _clock.Pass(500);
            _presence.Failed();
        }

        Assert.Equal(Is(false, 2000), _presence.Now);
        _clock.Pass(500);
        _presence.Heard();
        Assert.Equal(Is(true, 4000), _presence.Now);
    }

    // One event, and both of its consequences with nobody there to note them.
    [Fact]
    public void AFailureCountsForAWhile()
    {
        _presence.Heard();
        _clock.Pass(1000);
        _presence.Failed();
        Assert.Equal(Is(true, 0), _presence.Now);
        _clock.Pass(1500);
        Assert.Equal(Is(false, 2000), _presence.Now);
        _clock.Pass(1500);
        Assert.Equal(Is(null, 3000), _presence.Now);
    }

    [Fact]
    public void WhoWasNeverHeardIsNotAliveSinceItWasFirstAskedInVain()
    {
        _clock.Pass(10);
        _presence.Failed();
        _clock.Pass(500);
        _presence.Failed();
        Assert.Equal(Is(false, 10), _presence.Now);

        // Asked again only after that had ended: not known in between.
        _clock.Pass(3000);
        Assert.Equal(Is(null, 2510), _presence.Now);
        _presence.Failed();
        Assert.Equal(Is(false, 3510), _presence.Now);
    }

    [Fact]
    public void WhoIsPutAsideBetweenTheClocksLooksAgain()
    {
        _clock.PassAfterWall(50);
        var moment = Moment.Of(_clock);
        Assert.Equal(_clock.GetTimestamp(), moment.Timestamp);
        Assert.Equal(_begin.AddMilliseconds(50), moment.Wall);
    }

    private static long Ticks(int ms) => ms * System.Diagnostics.Stopwatch.Frequency / 1000;

    private Liveness Is(bool? value, int sinceMs) => new(value, _begin.AddMilliseconds(sinceMs));
}
