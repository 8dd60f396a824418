// What a chaos run is asked to do, from its command line. Threading: immutable. Failure: an option
// that is unknown or has a bad value is an ArgumentException that lists what there is.

using System.Globalization;
using PgRaft.Chaos.Faults;
using PgRaft.Harness;

namespace PgRaft.Chaos;

internal sealed record ChaosOptions
{
    public const string Usage =
        "PgRaft.Chaos [--seconds N] [--seed N] [--nodes N] [--faults KIND,...] "
        + "[--keep-history] [--stale-reads] [--blind-swaps] [--output DIRECTORY]";

    /// <summary>How long faults are injected, founding and final checks not counted.</summary>
    public int Seconds { get; init; } = 60;

    public int Seed { get; init; } = Random.Shared.Next(1, 1_000_000);

    public int Nodes { get; init; } = 3;

    /// <summary>Kinds of faults to choose from.</summary>
    public IReadOnlyList<string> Faults { get; init; } = FaultCatalog.Kinds;

    /// <summary>The negative control: reads ask the member's own state and are recorded as if
    /// they had asked the cluster.</summary>
    public bool StaleReads { get; init; }

    /// <summary>The other one: swaps do not compare and are recorded as if they had.</summary>
    public bool BlindSwaps { get; init; }

    /// <summary>The history of the whole run is written, whatever comes of it.</summary>
    public bool KeepHistory { get; init; }

    /// <summary>The file of that history.</summary>
    public string HistoryFile => Path.Combine(Output, "history.jsonl");

    /// <summary>Where the evidence of a violation goes, and the history.</summary>
    public string Output { get; init; } = Path.Combine(TestRun.Top, "artifacts", "chaos");

    /// <summary>The command that repeats this run's schedule of faults.</summary>
    public string Replay => string.Create(
        CultureInfo.InvariantCulture,
        $"make chaos SECONDS={Seconds} SEED={Seed} NODES={Nodes}{MoreReplay}");

    private string MoreReplay
    {
        get
        {
            string faults = Faults.Count == FaultCatalog.Kinds.Count
                ? ""
                : $"--faults {string.Join(',', Faults)}";
            string stale = StaleReads ? " --stale-reads" : "";
            string blind = BlindSwaps ? " --blind-swaps" : "";
            string all = $"{faults}{stale}{blind}".Trim();
            return all.Length == 0 ? "" : $" OPTIONS='{all}'";
        }
    }

    public static ChaosOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new ChaosOptions();
        for (var at = 0; at < arguments.Count; at++)
        {
            var name = arguments[at];
            if (options.With(name) is { } switched)
            {
                options = switched;
            }
            else
            {
                var value = ++at < arguments.Count
                    ? arguments[at]
                    : throw new ArgumentException($"{name} needs a value; {Usage}");
                options = options.With(name, value);
            }
        }

        return options;
    }

    private ChaosOptions? With(string name)
    {
        return name switch
        {
            "--keep-history" => this with { KeepHistory = true },
            "--stale-reads" => this with { StaleReads = true },
            "--blind-swaps" => this with { BlindSwaps = true },
            _ => null,
        };
    }

    private ChaosOptions With(string name, string value)
    {
        return name switch
        {
            "--seconds" => this with { Seconds = Number(name, value, 1, 86_400) },
            "--seed" => this with { Seed = Number(name, value, 0, int.MaxValue) },
            "--nodes" => this with { Nodes = Number(name, value, 3, 9) },
            "--faults" => this with { Faults = Kinds(value) },
            "--output" => this with { Output = Path.GetFullPath(value) },
            _ => throw new ArgumentException($"unknown option {name}; {Usage}"),
        };
    }

    private static int Number(string name, string value, int lowest, int highest)
    {
        var good = int.TryParse(value, CultureInfo.InvariantCulture, out var number)
            && number >= lowest && number <= highest;
        return good
            ? number
            : throw new ArgumentException($"{name} is a number from {lowest} to {highest}");
    }

    private static string[] Kinds(string value)
    {
        var kinds = value.Split(',', StringSplitOptions.RemoveEmptyEntries);
        var unknown = kinds.Except(FaultCatalog.Kinds).FirstOrDefault();
        return unknown is null && kinds.Length > 0
            ? kinds
            : throw new ArgumentException(
                $"no fault '{unknown}'; there are {string.Join(", ", FaultCatalog.Kinds)}");
    }
}
