// Whether a member's log tells of changes alone, and of each once: what clients do, and do wrong,
// is none, nor are reloads and snapshots.
//
// Threading: none; the server may write meanwhile. Failure: the test's.

using System.Globalization;

namespace PgRaft.Cluster.Tests.Support;

internal static class QuietLog
{
    private const int ElectionTimeout = 114;
    private const int Follows = 116;
    private const int Elected = 111;
    private const int Failed = 201;
    private const int Restored = 202;

    // Of a worker's start, of leadership, of connections to members.
    private static readonly int[] Changes =
        [101, Elected, 112, 113, ElectionTimeout, 115, Follows, Failed, Restored, 2000, 2001];

    /// <summary>Looks at all that the server has logged since it was made.</summary>
    public static void Check(TestServer server, int members)
    {
        var events = LogEvents.Of(server);
        Assert.NotEmpty(events);
        Assert.All(events, e => Assert.Contains(e.Id, Changes));
        Alternate(events, ElectionTimeout, e => e.Id is Follows or Elected);
        for (var id = 1; id <= members; id++)
        {
            var node = string.Create(CultureInfo.InvariantCulture, $" connection to node {id} at ");
            Alternate(
                [.. events.Where(e => e.Text.Contains(node, StringComparison.Ordinal))],
                Failed, e => e.Id == Restored);
        }
    }

    // Between two of the same event there is what ends the first.
    private static void Alternate(
        IReadOnlyList<LogEvent> events, int id, Func<LogEvent, bool> isEnd)
    {
        var isOpen = false;
        foreach (var e in events)
        {
            Assert.False(isOpen && e.Id == id, $"twice without its end: {e}");
            isOpen = !isEnd(e) && (isOpen || e.Id == id);
        }
    }
}
