using Microsoft.Extensions.Logging;

using PgRaft.Core;
using PgRaft.Server.Logging;

using Xunit;

namespace PgRaft.Server.Tests.Logging;

public class LogTextTests
{
    [Theory]
    [InlineData(null, null, "cannot listen")]
    [InlineData("Address already in use", null, "cannot listen: Address already in use")]
    [InlineData(
        "Address already in use",
        "Check pgraft.port.",
        "cannot listen: Address already in use. Check pgraft.port.")]
    [InlineData("It is taken.", "Check it.", "cannot listen: It is taken. Check it.")]
    [InlineData(null, "Check it.", "cannot listen. Check it.")]
    public void Message_detail_and_hint_read_like_sentences(
        string? detail, string? hint, string expected) =>
        Assert.Equal(expected, ErrorText.Of(
            new PgraftException(StatusCode.IoError, "cannot listen", detail, hint)));

    [Fact]
    public void An_unexpected_exception_is_named() => Assert.Equal(
        "InvalidOperationException: odd", ErrorText.Of(new InvalidOperationException("odd")));

    public static TheoryData<Exception[], LogLevel> Unobserved => new()
    {
        { [new ObjectDisposedException("engine")], LogLevel.Debug },
        { [new OperationCanceledException(), new TaskCanceledException()], LogLevel.Debug },
        { [new AggregateException(new ObjectDisposedException("engine"))], LogLevel.Debug },
        { [new IOException()], LogLevel.Error },
        { [new ObjectDisposedException("engine"), new IOException()], LogLevel.Error },
        { [new AggregateException(new OperationCanceledException(), new IOException())],
            LogLevel.Error },
    };

    [Theory]
    [MemberData(nameof(Unobserved), DisableDiscoveryEnumeration = true)]
    public void A_task_that_only_ended_is_no_error(Exception[] inner, LogLevel expected) =>
        Assert.Equal(expected, UnobservedFailure.LevelOf(new AggregateException(inner)));
}
