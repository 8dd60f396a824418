using System.Text;

using PgRaft.Core;
using PgRaft.Server.Logging;
using PgRaft.Server.Tests.Fakes;

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

    [Theory]
    [InlineData("plain text", "plain text")]
    [InlineData("größer € 🐘", "größer € 🐘")]
    [InlineData("one\ntwo", "one two")]
    [InlineData("one\r\n   at Two()\n   at Three()", "one at Two() at Three()")]
    [InlineData("\n first and last \n", "first and last ")]
    [InlineData("a \n b", "a b")]
    [InlineData("a\0b\tc\u001b[2Jd\u007fe\u009bf", "a b c [2Jd e f")]
    [InlineData("a\u2028b\u2029c\u0085d", "a b c d")]
    [InlineData("a\u202eb\ufeffc", "a b c")]
    [InlineData("", "")]
    public void A_text_becomes_one_line(string text, string expected) =>
        Assert.Equal(expected, LogText.OneLine(text));

    // What is no character at all is replaced, so that UTF-8 can be made of it.
    [Fact]
    public void Half_a_character_becomes_the_mark_of_one() =>
        Assert.Equal("a\ufffdb", LogText.OneLine("a\ud800b"));

    [Theory]
    [InlineData("x", LogText.MaxBytes, LogText.MaxBytes)]
    [InlineData("x", LogText.MaxBytes + 1, LogText.MaxBytes)]
    [InlineData("ä", LogText.MaxBytes / 2, LogText.MaxBytes)]
    [InlineData("ä", 5000, LogText.MaxBytes - 1)]
    [InlineData("🐘", 5000, LogText.MaxBytes - 1)]
    [InlineData("\n", 5000, 0)]
    public void A_long_text_is_cut_at_a_character(string part, int count, int expectedBytes)
    {
        string text = string.Concat(Enumerable.Repeat(part, count));

        string line = LogText.OneLine(text);

        Assert.Equal(expectedBytes, Encoding.UTF8.GetByteCount(line));
        string kept = line.TrimEnd('…');
        Assert.StartsWith(kept, text, StringComparison.Ordinal);
        Assert.Equal(0, kept.Length % part.Length);
        Assert.Equal(expectedBytes > 0 && kept != text, line.EndsWith('…'));
    }

    [Fact]
    public void An_error_is_one_line_however_it_was_worded() => Assert.Equal(
        "no room: on /a b. Make some.",
        ErrorText.Of(new PgraftException(
            StatusCode.DiskFull, "no\nroom", "on /a\r\n b", "Make\tsome.")));

    // With debugging on, the stack is part of it.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_record_is_one_line_whatever_was_sent(bool isDebug)
    {
        var log = new LogRecorder();
        using var factory = new SinkLoggerFactory(log, () => isDebug, TimeProvider.System);
        var failure = Assert.Throws<IOException>(ThrowLines);

        factory.CreateLogger("x").HttpFailed(failure, "/a\nLOG:  pgraft: [111] b\u001b[2J");

        string text = Assert.Single(log.Records).Text;
        Assert.StartsWith(
            "the HTTP request for /a LOG:  pgraft: [111] b [2J failed: ", text,
            StringComparison.Ordinal);
        Assert.Contains("IOException: bad reason", text, StringComparison.Ordinal);
        Assert.DoesNotContain(text, char.IsControl);
        Assert.Equal(isDebug, text.Contains(" at PgRaft.", StringComparison.Ordinal));
    }

    private static void ThrowLines() => throw new IOException("bad\r\nreason");

    public static TheoryData<Exception[], bool> Unobserved => new()
    {
        { [new ObjectDisposedException("engine")], true },
        { [new OperationCanceledException(), new TaskCanceledException()], true },
        { [new AggregateException(new ObjectDisposedException("engine"))], true },
        { [new IOException()], false },
        { [new ObjectDisposedException("engine"), new IOException()], false },
        { [new AggregateException(new OperationCanceledException(), new IOException())], false },
    };

    [Theory]
    [MemberData(nameof(Unobserved), DisableDiscoveryEnumeration = true)]
    public void A_task_that_only_ended_is_no_error(Exception[] inner, bool expected) =>
        Assert.Equal(expected, UnobservedFailure.IsEnding(new AggregateException(inner)));
}
