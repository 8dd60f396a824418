// What members say of their versions, what follows from it, and who is refused.
using PgRaft.Consensus.Node;
using PgRaft.Consensus.Transport;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class HelloTests
{
    [Fact]
    public void AHelloIsReadAsItWasWritten()
    {
        var hello = Of(2, protocol: new(3, 5), data: new(2, 4)) with { DataHeld = 3 };
        Assert.Equal(hello, Copy(hello));
    }

    [Fact]
    public void WhatALaterVersionAddsIsPassedOver()
    {
        var hello = Of(2, protocol: new(3, 5));
        var writer = new FrameWriter();
        hello.Write(writer);
        writer.Text("a field of the future").Int64(7);
        Assert.Equal(hello, Hello.Read(writer.Frame[FrameWriter.HeaderBytes..]));
    }

    [Theory]
    [InlineData(1, 1, 1, 1, 1)]
    [InlineData(1, 2, 1, 1, 1)]
    [InlineData(1, 1, 1, 2, 1)]
    [InlineData(1, 3, 2, 5, 3)]
    [InlineData(2, 2, 1, 1, 0)]
    [InlineData(1, 2, 3, 4, 0)]
    public void AConnectionSpeaksTheNewestCommonProtocol(
        int myOldest, int myNewest, int theirOldest, int theirNewest, int spoken)
    {
        var mine = Of(1, new(myOldest, myNewest));
        var theirs = Of(2, new(theirOldest, theirNewest));
        Assert.Equal(spoken, mine.ProtocolWith(theirs));
        Assert.Equal(spoken, theirs.ProtocolWith(mine));
        Assert.Equal(spoken == 0, theirs.VersionRefusal(mine) is not null);
    }

    [Fact]
    public void ARefusalForTheProtocolNamesBothVersions()
    {
        var mine = Of(1, new(1, 2));
        var theirs = Of(2, new(3, 4)) with { Version = "3.0" };
        Assert.Equal(
            "node 2 (pgraft 3.0) speaks peer protocol 3 to 4, "
                + "but node 1 (pgraft 1.0) speaks 1 to 2",
            theirs.Refusal(mine));
    }

    [Theory]
    [InlineData(2, 2, 2, true)] // it reads what is written and what is there
    [InlineData(3, 2, 2, true)]
    [InlineData(2, 2, 3, false)] // it does not read what is there
    [InlineData(2, 3, 3, false)] // nor anything this node could write
    public void AMemberMustReadWhatTheOtherHasAndWrites(
        int theyRead, int myOldest, int iHold, bool isGood)
    {
        var mine = Of(1, data: new(myOldest, 3)) with { DataHeld = iHold };
        var theirs = Of(2, data: new(2, theyRead));
        string? refusal = theirs.VersionRefusal(mine);
        Assert.Equal(isGood, refusal is null);
        Assert.Equal(refusal, mine.VersionRefusal(theirs));
        if (!isGood)
        {
            Assert.Equal(
                "node 2 (pgraft 1.0) reads data up to version 2, "
                    + "but node 1 (pgraft 1.0) has version 3",
                refusal);
        }
    }

    [Fact]
    public void WhoANodeIsComesBeforeWhatItSpeaks()
    {
        var stranger = Of(2, new(8, 9)) with { ClusterId = "another" };
        Assert.Contains("belongs to cluster", stranger.Refusal(Of(1)), StringComparison.Ordinal);
    }

    [Fact]
    public void AVersionTextGoesIntoLogsAndIsCleaned()
    {
        var hello = Of(2) with { Version = "1.0\nFATAL: " + new string('x', 100) };
        Assert.Equal("1.0?FATAL:?" + new string('x', 21), Copy(hello).Version);
    }

    [Fact]
    public void TheNewestVersionThatAllReadIsWritten()
    {
        var versions = new MemberVersions(new NodeVersions(new(1, 1), new(2, 4)), held: 2);
        Assert.Equal(4, versions.Written); // alone
        versions.Others([2, 3]);
        Assert.Equal(2, versions.Written); // nobody heard yet
        versions.Heard(Of(2, data: new(2, 4)));
        Assert.Equal(2, versions.Written); // one not heard yet
        versions.Heard(Of(3, data: new(2, 3)));
        Assert.Equal(3, versions.Written);
        versions.Heard(Of(3, data: new(3, 5)));
        Assert.Equal(4, versions.Written); // no more than this node writes
        versions.Others([2, 3, 4]);
        Assert.Equal(2, versions.Written); // one is being added
        versions.Others([2, 3]);
        Assert.Equal(4, versions.Written);
        versions.Heard(Of(2, data: new(1, 1)));
        Assert.Equal(2, versions.Written); // no less than this node can write
    }

    [Fact]
    public void WhatIsHeldNeverGoesBack()
    {
        var versions = new MemberVersions(new NodeVersions(new(1, 1), new(2, 4)), held: 0);
        Assert.Equal(2, versions.Held);
        versions.Holds(3);
        versions.Holds(2);
        Assert.Equal(3, versions.Held);
    }

    private static Hello Of(int nodeId, VersionRange? protocol = null, VersionRange? data = null) =>
        new(ChannelKind.Consensus, "test", 5, nodeId, nodeId == 1 ? 2 : 1, 300, "1.0")
        {
            Versions = new NodeVersions(protocol ?? new(1, 1), data ?? new(2, 2)),
            DataHeld = 2,
        };

    private static Hello Copy(Hello hello)
    {
        var writer = new FrameWriter();
        hello.Write(writer);
        return Hello.Read(writer.Frame[FrameWriter.HeaderBytes..]);
    }
}
