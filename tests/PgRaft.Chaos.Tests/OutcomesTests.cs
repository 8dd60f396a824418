// What a call's end says of its outcome: the SQLSTATEs of docs/sql.md. Threading: none.

using Npgsql;
using PgRaft.Chaos.Clients;
using PgRaft.Histories;

namespace PgRaft.Chaos.Tests;

public sealed class OutcomesTests
{
    [Theory]
    [InlineData("40001")]
    [InlineData("55000")]
    [InlineData("57P03")]
    public void Certainly_not_done(string state)
    {
        Assert.Equal(Outcome.Failed, Outcomes.Of(Error(state)));
        Assert.False(Outcomes.IsDefect(Error(state)));
    }

    [Theory]
    [InlineData("40003")]
    [InlineData("57014")]
    [InlineData("57P01")]
    [InlineData("57P02")]
    [InlineData("53100")]
    [InlineData("58030")]
    public void Unknown(string state)
    {
        Assert.Equal(Outcome.Unknown, Outcomes.Of(Error(state)));
        Assert.False(Outcomes.IsDefect(Error(state)));
    }

    [Fact]
    public void A_lost_connection_leaves_the_outcome_open()
    {
        Assert.Equal(Outcome.Unknown, Outcomes.Of(new NpgsqlException("broken")));
        Assert.Equal(Outcome.Unknown, Outcomes.Of(new IOException("broken")));
        Assert.Equal(Outcome.Unknown, Outcomes.Of(new TimeoutException()));
    }

    [Theory]
    [InlineData("XX000")]
    [InlineData("22023")]
    [InlineData("42883")]
    public void Nothing_excuses_these(string state)
    {
        Assert.True(Outcomes.IsDefect(Error(state)));
    }

    private static PostgresException Error(string state)
    {
        return new PostgresException("text", "ERROR", "ERROR", state);
    }
}
