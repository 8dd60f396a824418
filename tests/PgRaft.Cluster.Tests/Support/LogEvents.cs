// The events in a server's log: what pgraft's worker wrote, by number, level and text.
//
// Threading: none; the server may write meanwhile. Failure: a line of the worker that is no event
// is a failed assertion.

using System.Globalization;
using System.Text.RegularExpressions;

namespace PgRaft.Cluster.Tests.Support;

/// <summary>An event as a server has logged it.</summary>
/// <param name="Level">PostgreSQL's name of the level.</param>
/// <param name="Id">The number in brackets.</param>
/// <param name="Text">What follows it.</param>
internal sealed record LogEvent(string Level, int Id, string Text);

internal static partial class LogEvents
{
    /// <summary>The events from a place in the log on, oldest first.</summary>
    public static IReadOnlyList<LogEvent> Of(TestServer server, int from = 0)
    {
        var lines = server.Log()[from..].Split('\n')
            .Where(line => line.Contains("] pgraft cluster worker ", StringComparison.Ordinal)
                && line.Contains(":  pgraft: ", StringComparison.Ordinal));
        return [.. lines.Select(Parse)];
    }

    private static LogEvent Parse(string line)
    {
        var match = Event().Match(line);
        Assert.True(match.Success, $"no event: {line}");
        return new LogEvent(
            match.Groups[1].Value,
            int.Parse(match.Groups[2].ValueSpan, CultureInfo.InvariantCulture),
            match.Groups[3].Value);
    }

    // As log_line_prefix of the test servers makes them.
    [GeneratedRegex(@"\] pgraft cluster worker (\w+):  pgraft: \[(\d+)\] (.*)$")]
    private static partial Regex Event();
}
