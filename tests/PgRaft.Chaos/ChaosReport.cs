// The result of a run: counts for people, evidence for whoever looks for the cause.
// Threading: immutable but for the history. Failure: writing throws what the file system throws.

using System.Globalization;
using System.Text;
using PgRaft.Chaos.Clients;
using PgRaft.Histories;

namespace PgRaft.Chaos;

internal sealed record ChaosReport
{
    public required ChaosOptions Options { get; init; }

    /// <summary>Why the network could not be cut; empty when it could.</summary>
    public required string NetworkMissing { get; init; }

    /// <summary>Operations of all kinds that were checked.</summary>
    public required IReadOnlyDictionary<OperationKind, long> Operations { get; init; }

    public required Tally Tally { get; init; }

    public required IReadOnlyDictionary<string, int> Faults { get; init; }

    public required int Elections { get; init; }

    public required long LeaseSamples { get; init; }

    public required long Entries { get; init; }

    public required long VerifiedWrites { get; init; }

    public required long UnseenEntries { get; init; }

    /// <summary>Messages in the servers' logs that should not be there, though nothing else is
    /// wrong, and their numbers.</summary>
    public required IReadOnlyDictionary<string, int> StrangeMessages { get; init; }

    public required TimeSpan LongestUnavailability { get; init; }

    public required IReadOnlyList<string> Violations { get; init; }

    public required IReadOnlyList<string> Events { get; init; }

    /// <summary>Of the last stretch, in which a violation was found.</summary>
    public required History History { get; init; }

    public required IReadOnlyList<(int Slot, string Text)> ServerLogs { get; init; }

    public string Summary()
    {
        var text = new StringBuilder();
        Add(
            text, "servers",
            $"{Options.Nodes}, seed {Options.Seed}, {Options.Seconds} s of faults");
        if (NetworkMissing.Length > 0)
        {
            Add(text, "network", $"whole all the time: {NetworkMissing}");
        }

        Add(text, "calls", $"{Tally.Ok} done, {Tally.Failed} certainly not done, "
            + $"{Tally.Unknown} unknown");
        Add(text, "errors", string.Join(", ", Tally.Errors.Select(e => $"{e.Key}: {e.Value}")));
        Add(text, "faults", $"{Faults.Values.Sum()}: "
            + string.Join(", ", Faults.OrderBy(f => f.Key).Select(f => $"{f.Key} {f.Value}")));
        Add(text, "elections", $"{Elections}");
        Add(text, "checked", string.Join(", ", Operations.Select(o => $"{o.Key}: {o.Value}"))
            + $"; {VerifiedWrites} acknowledged "
            + $"writes in {Entries} log entries ({UnseenEntries} compacted unseen), "
            + $"{LeaseSamples} lease samples");
        Add(text, "appends under a term that was over", $"{Tally.StaleRefused} refused");
        Add(text, "longest time without a write while a majority was healthy",
            LongestUnavailability.TotalSeconds.ToString("F2", CultureInfo.InvariantCulture) + " s");
        foreach (var (message, count) in StrangeMessages)
        {
            Add(text, "strange in the logs", $"{message}: {count}");
        }

        if (Options.KeepHistory)
        {
            Add(text, "history", Options.HistoryFile);
        }

        Add(text, "violations", $"{Violations.Count}");
        foreach (var violation in Violations)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {violation}\n");
        }

        Add(text, "the same plan again", Options.Replay);
        return text.ToString();
    }

    /// <summary>Writes events, server logs, summary, and the history unless the whole is kept
    /// anyway, into the output directory.</summary>
    public void WriteEvidence()
    {
        Directory.CreateDirectory(Options.Output);
        if (!Options.KeepHistory)
        {
            History.WriteJsonLines(Options.HistoryFile);
        }

        File.WriteAllLines(Path.Combine(Options.Output, "events.txt"), Events);
        File.WriteAllText(Path.Combine(Options.Output, "summary.txt"), Summary());
        foreach (var (slot, log) in ServerLogs)
        {
            File.WriteAllText(Path.Combine(Options.Output, $"server{slot}.log"), log);
        }
    }

    private static void Add(StringBuilder text, string name, string value)
    {
        text.Append(CultureInfo.InvariantCulture, $"{name}: {value}\n");
    }
}
