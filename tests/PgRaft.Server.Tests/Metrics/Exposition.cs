// Reads the text format of Prometheus, written from its description and not from our writer.
using System.Globalization;
using System.Text.RegularExpressions;

namespace PgRaft.Server.Tests.Metrics;

internal sealed partial class Exposition
{
    private Exposition(
        Dictionary<string, string> types, Dictionary<string, string> helps,
        Dictionary<string, double> samples)
    {
        Types = types;
        Helps = helps;
        Samples = samples;
    }

    /// <summary>Type by name of the metric.</summary>
    public Dictionary<string, string> Types { get; }

    public Dictionary<string, string> Helps { get; }

    /// <summary>Value by name and labels, as they are written.</summary>
    public Dictionary<string, double> Samples { get; }

    public double this[string sample] => Samples.TryGetValue(sample, out double value)
        ? value
        : throw new KeyNotFoundException(
            $"no sample {sample} among {string.Join(", ", Samples.Keys)}");

    public static Exposition Parse(string text)
    {
        var types = new Dictionary<string, string>();
        var helps = new Dictionary<string, string>();
        var samples = new Dictionary<string, double>();
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("# TYPE ", StringComparison.Ordinal))
                types.Add(line.Split(' ')[2], line.Split(' ')[3]);
            else if (line.StartsWith("# HELP ", StringComparison.Ordinal))
                helps.Add(line.Split(' ')[2], line.Split(' ', 4)[3]);
            else
                AddSample(samples, line);
        }

        return new Exposition(types, helps, samples);
    }

    private static void AddSample(Dictionary<string, double> samples, string line)
    {
        var match = Sample().Match(line);
        if (!match.Success)
            throw new InvalidDataException(line);
        samples.Add(
            match.Groups[1].Value + match.Groups[2].Value,
            match.Groups[3].Value == "+Inf"
                ? double.PositiveInfinity
                : double.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture));
    }

    [GeneratedRegex("^([a-z_]+)(\\{(?:[a-z_]+=\"[^\"]*\",?)+\\})? ([-+.0-9eEInf]+)$")]
    private static partial Regex Sample();
}
