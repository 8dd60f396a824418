using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Protocol;

public class ResponseTests
{
    [Fact]
    public void Rows_are_written_as_the_protocol_says()
    {
        using var response = Begin(9);
        response.Rows(2).Int32(1).Text("a").Int64(null).Bool(false);
        var answer = Parse(response);
        Assert.Equal((StatusCode.Ok, 9u), (answer.Status, answer.RequestId));
        Assert.Equal([[1, "a"], [null, false]], answer.Rows);
    }

    [Fact]
    public void A_row_that_is_not_complete_is_a_defect()
    {
        using var response = Begin(1);
        response.Rows(2).Int32(1);
        Assert.Throws<InvalidOperationException>(() => response.Finish());
    }

    [Fact]
    public void An_error_replaces_what_was_written()
    {
        using var response = Begin(3);
        response.Rows(1).Text("half an answer");
        response.Error(new PgraftException(StatusCode.Busy, "m", null, "h"));
        var answer = Parse(response);
        Assert.Equal(StatusCode.Busy, answer.Status);
        Assert.Equal([["m", null, "h"]], answer.Rows);
    }

    [Fact]
    public void An_error_text_cannot_break_the_frame()
    {
        using var response = Begin(3);
        response.Error(new PgraftException(StatusCode.Internal, "a\0b", new string('x', 1 << 20)));
        var answer = Parse(response);
        Assert.Equal("a b", answer.Message);
        Assert.Equal(4096, answer.Detail!.Length);
    }

    [Fact]
    public void A_forwarded_answer_is_relayed_under_our_own_id()
    {
        using var theirs = Begin(77);
        theirs.Rows(2).Int64(5).Text("x");
        using var ours = Begin(8);
        ours.Relay(ForwardedResponse.TryRead(theirs.Finish())!.Value);
        var answer = Parse(ours);
        Assert.Equal(8u, answer.RequestId);
        Assert.Equal([[5L, "x"]], answer.Rows);
    }

    [Fact]
    public void A_forwarded_error_keeps_its_texts()
    {
        using var theirs = Begin(77);
        theirs.Error(new PgraftException(StatusCode.TooLarge, "m", "d", null));
        var error = ForwardedResponse.TryRead(theirs.Finish())!.Value.ToException();
        Assert.Equal(
            (StatusCode.TooLarge, "m", "d", null),
            (error.Code, error.Message, error.Detail, error.Hint));
    }

    public static TheoryData<string, Func<byte[], byte[]>> Spoilt() => new()
    {
        { "too short", f => f[..10] },
        { "length", f => [.. f, 0] },
        { "status", f => With(f, 4, 99) },
        { "columns", f => With(f, 12, 200) },
        { "rows", f => With(f, 16, 2) },
        { "tag", f => With(f, 20, 9) },
    };

    [Theory]
    [MemberData(nameof(Spoilt), DisableDiscoveryEnumeration = true)]
    public void An_answer_that_cannot_be_trusted_is_none(string what, Func<byte[], byte[]> spoil)
    {
        using var response = Begin(1);
        response.Rows(1).Int64(5);
        var frame = response.Finish().ToArray();
        Assert.NotNull(ForwardedResponse.TryRead(frame));
        Assert.True(ForwardedResponse.TryRead(spoil(frame)) is null, what);
    }

    private static byte[] With(byte[] frame, int position, byte value)
    {
        frame[position] = value;
        return frame;
    }

    private static ResponseBuilder Begin(uint id)
    {
        var response = new ResponseBuilder(new MemoryBudget(1 << 24));
        response.Begin(id);
        return response;
    }

    private static Answer Parse(ResponseBuilder response) =>
        Answer.Parse(response.Finish().Span[4..]);
}
