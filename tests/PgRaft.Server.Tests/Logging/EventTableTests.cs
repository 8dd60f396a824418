// The table of events in docs/monitoring.md is the code's: every event that is logged without being
// asked for has its row, with its level and the beginning of its text, and no row is of another.
using System.Reflection;
using System.Text.RegularExpressions;

using Microsoft.Extensions.Logging;

using PgRaft.Consensus;
using PgRaft.Harness;
using PgRaft.Server.Hosting;

using Xunit;

namespace PgRaft.Server.Tests.Logging;

public partial class EventTableTests
{
    private static readonly string Top = FindTop();
    private static readonly IReadOnlyList<EventRow> Table = EventTable.Read(Top);

    private sealed record Event(int Id, string Level, string Text);

    [Fact]
    public void Every_event_has_its_row()
    {
        var events = OfAssemblies().Concat(OfWorker()).ToArray();

        Assert.True(events.Length > 40, $"{events.Length} events were found");
        Assert.Equal(events.Length, events.DistinctBy(e => e.Id).Count());
        Assert.All(events, e =>
        {
            var row = Assert.Single(Table, r => r.Covers(e.Id));
            Assert.Equal((e.Id, e.Id, e.Level), (row.First, row.Last, row.Level));
            Assert.StartsWith(row.Begins, e.Text, StringComparison.Ordinal);
            Assert.NotEmpty(row.Meaning);
        });
    }

    [Fact]
    public void Every_row_has_its_event_and_they_are_in_order()
    {
        var ids = OfAssemblies().Concat(OfWorker()).Select(e => e.Id).ToHashSet();

        Assert.All(Table.Where(r => r.First == r.Last), r => Assert.Contains(r.First, ids));
        Assert.Equal(Table.OrderBy(r => r.First), Table);
    }

    // The engine's package logs by itself; of that, errors get through (EngineLogger).
    [Fact]
    public void The_engine_s_errors_are_in_the_range_that_is_theirs()
    {
        var range = Assert.Single(Table, r => r.First != r.Last);
        var errors = Messages(Assembly.Load("DotNext.Net.Cluster"))
            .Where(m => m.Level >= LogLevel.Error)
            .ToArray();

        Assert.NotEmpty(errors);
        Assert.All(errors, m => Assert.True(range.Covers(m.EventId), $"event {m.EventId}"));
        Assert.Equal("ERROR", range.Level);
    }

    private static IEnumerable<Event> OfAssemblies() =>
        Of(typeof(RaftNode).Assembly, _ => "raft")
            .Concat(Of(typeof(NodeHost).Assembly, CategoryOf));

    private static IEnumerable<Event> Of(Assembly assembly, Func<int, string> category) =>
        Messages(assembly)
            .Where(m => m.Level >= LogLevel.Information)
            .Select(m => new Event(
                m.EventId,
                m.Level switch
                {
                    LogLevel.Information => "LOG",
                    LogLevel.Warning => "WARNING",
                    _ => "ERROR",
                },
                $"{category(m.EventId)}: {Variable().Replace(m.Message, "…")}"));

    private static string CategoryOf(int id) => id == 2040 ? "core" : "server";

    private static IEnumerable<LoggerMessageAttribute> Messages(Assembly assembly) => assembly
        .GetTypes()
        .SelectMany(t => t.GetMethods(
            BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public
            | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
        .Select(m => m.GetCustomAttribute<LoggerMessageAttribute>())
        .OfType<LoggerMessageAttribute>();

    // What the worker's main thread says itself.
    private static IEnumerable<Event> OfWorker() =>
        WorkerMessage().Matches(File.ReadAllText(Path.Combine(Top, "shim", "worker.c")))
            .Select(m => new Event(
                int.Parse(m.Groups[2].ValueSpan, null),
                m.Groups[1].Value,
                Conversion().Replace(m.Groups[3].Value, "…")));

    private static string FindTop()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "pgraft.control")))
            directory = directory.Parent ?? throw new DirectoryNotFoundException("no tree");
        return directory.FullName;
    }

    [GeneratedRegex("ereport\\((\\w+),(?:(?!ereport).)*?errmsg\\(\"pgraft: \\[(\\d+)\\] ([^\"]*)\"",
        RegexOptions.Singleline)]
    private static partial Regex WorkerMessage();

    [GeneratedRegex(@"\{\w+(:\w+)?\}")]
    private static partial Regex Variable();

    [GeneratedRegex("%[a-z]")]
    private static partial Regex Conversion();
}
