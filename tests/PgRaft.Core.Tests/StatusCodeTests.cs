// The C# statuses must be the C contract's, name by name and number by number.
using System.Globalization;
using System.Text.RegularExpressions;

using Xunit;

namespace PgRaft.Core.Tests;

public partial class StatusCodeTests
{
    [Fact]
    public void Mirrors_the_header()
    {
        string header = File.ReadAllText(SourceTree.Path("shim/pgraft_abi.h"));
        string body = EnumPattern().Match(header).Groups[1].Value;
        var expected = MemberPattern().Matches(body).ToDictionary(
            m => m.Groups[1].Value.Replace("_", "", StringComparison.Ordinal),
            m => int.Parse(m.Groups[2].Value, CultureInfo.InvariantCulture));
        var actual = Enum.GetValues<StatusCode>().ToDictionary(
            c => c.ToString().ToUpperInvariant(), c => (int)c);
        Assert.NotEmpty(expected);
        Assert.Equal(expected.OrderBy(p => p.Value), actual.OrderBy(p => p.Value));
    }

    [Fact]
    public void Exception_carries_what_the_client_is_told()
    {
        var cause = new IOException("disk");
        var e = new PgraftException(StatusCode.IoError, "message", "detail", "hint", cause);
        Assert.Equal(
            (StatusCode.IoError, "message", "detail", "hint"),
            (e.Code, e.Message, e.Detail, e.Hint));
        Assert.Same(cause, e.InnerException);
    }

    [Fact]
    public void Exception_cannot_report_success() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new PgraftException(StatusCode.Ok, "x"));

    [GeneratedRegex(@"enum PgraftStatusCode\s*\{(.*?)\}", RegexOptions.Singleline)]
    private static partial Regex EnumPattern();

    [GeneratedRegex(@"PGRAFT_(\w+) = (\d+)")]
    private static partial Regex MemberPattern();
}
