// How a member's address looks in the engine's log lines, and that it is compared by value.
using PgRaft.Consensus.Engine;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class MemberEndPointTests
{
    [Fact]
    public void AMemberShowsItsHostAndPort()
    {
        using var member = new LocalMember(new MemberAddress(1, "db1.example", 7001), () => true);
        Assert.Equal("db1.example:7001", $"{member.EndPoint}");
    }

    [Fact]
    public void EndPointsAreEqualWhenHostAndPortAre()
    {
        var one = new MemberEndPoint(new MemberAddress(1, "db1", 7001));
        Assert.Equal(one, new MemberEndPoint(new MemberAddress(2, "db1", 7001)));
        Assert.NotEqual(one, new MemberEndPoint(new MemberAddress(1, "db1", 7002)));
        Assert.NotEqual(one, new MemberEndPoint(new MemberAddress(1, "db2", 7001)));
    }
}
