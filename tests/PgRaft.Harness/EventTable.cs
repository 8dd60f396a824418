// The table of events in docs/monitoring.md, as the tests compare it with the code and with what
// servers log. A row's first cell is an event id, or two of them with a dash between, a range; dots
// in its third cell stand for anything.
//
// Threading: immutable. Failure: a row that cannot be read throws.

using System.Globalization;
using System.Text.RegularExpressions;

namespace PgRaft.Harness;

/// <summary>A row: events from <paramref name="First"/> to <paramref name="Last"/>.</summary>
/// <param name="First">The event.</param>
/// <param name="Last">The same, or the last of a range.</param>
/// <param name="Level">PostgreSQL's name of the level.</param>
/// <param name="Begins">What stands after "pgraft: [id] ".</param>
/// <param name="Meaning">For the reader.</param>
public sealed record EventRow(int First, int Last, string Level, string Begins, string Meaning)
{
    public bool Covers(int id) => id >= First && id <= Last;

    /// <summary>Whether a line says this, by its text after "pgraft: [id] ".</summary>
    public bool Fits(string level, int id, string text)
    {
        var pattern = Regex.Escape(Begins).Replace("…", ".+?", StringComparison.Ordinal);
        return Covers(id) && level == Level && Regex.IsMatch(text, $"^{pattern}");
    }
}

public static class EventTable
{
    /// <summary>Reads the table of the source tree at <paramref name="top"/>.</summary>
    public static IReadOnlyList<EventRow> Read(string top)
    {
        return [.. File.ReadLines(Path.Combine(top, "docs", "monitoring.md"))
            .Where(line => Regex.IsMatch(line, "^\\| [0-9]"))
            .Select(Row)];
    }

    private static EventRow Row(string line)
    {
        var cells = line.Trim('|', ' ').Split(" | ", StringSplitOptions.TrimEntries);
        var ids = cells[0].Split('–').Select(id => int.Parse(id, CultureInfo.InvariantCulture));
        return new EventRow(ids.First(), ids.Last(), cells[1], cells[2].Trim('`'), cells[3]);
    }
}
