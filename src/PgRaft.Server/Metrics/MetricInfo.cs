// Describes one metric. Threading: immutable. Failure: none.
namespace PgRaft.Server.Metrics;

internal enum MetricType
{
    Gauge,
    Counter,
    Histogram,
}

/// <summary>A metric: its name, type, help and labels.</summary>
/// <param name="Name">With its unit last, as Prometheus has it.</param>
/// <param name="Type">Its type.</param>
/// <param name="Help">One sentence without a full stop.</param>
/// <param name="Labels">Names of its labels; each has few values.</param>
internal sealed record MetricInfo(
    string Name, MetricType Type, string Help, params string[] Labels);
