// Writes the text format 0.0.4 of Prometheus: help and type once, then the samples.
// Threading: one thread. Failure: none; values of labels are escaped.
using System.Globalization;
using System.Text;

using PgRaft.Consensus.Metrics;

namespace PgRaft.Server.Metrics;

internal sealed class MetricWriter
{
    private const int InitialCapacity = 16 * 1024;

    private readonly StringBuilder _text = new(InitialCapacity);

    /// <summary>Begins a metric that may have no samples, or several.</summary>
    public MetricWriter Begin(MetricInfo metric)
    {
        string type = metric.Type switch
        {
            MetricType.Counter => "counter",
            MetricType.Histogram => "histogram",
            _ => "gauge",
        };
        _text.Append("# HELP ").Append(metric.Name).Append(' ').Append(metric.Help).Append('\n')
            .Append("# TYPE ").Append(metric.Name).Append(' ').Append(type).Append('\n');
        return this;
    }

    /// <summary>A metric with one sample.</summary>
    public MetricWriter Write(MetricInfo metric, double value)
    {
        Begin(metric);
        return Sample(metric, value);
    }

    /// <summary>A metric with one sample, 1 or 0.</summary>
    public MetricWriter Write(MetricInfo metric, bool value) => Write(metric, value ? 1 : 0);

    /// <summary>A sample of the metric that was begun.</summary>
    /// <param name="metric">The metric.</param>
    /// <param name="value">Its value.</param>
    /// <param name="labels">One value for each of its labels.</param>
    public MetricWriter Sample(MetricInfo metric, double value, params ReadOnlySpan<string> labels)
    {
        _text.Append(metric.Name);
        Labels(metric, labels, null);
        return Value(value);
    }

    /// <summary>A metric with one histogram.</summary>
    public MetricWriter Write(MetricInfo metric, LatencyHistogram histogram)
    {
        Begin(metric);
        return Sample(metric, histogram);
    }

    /// <summary>A histogram of the metric that was begun.</summary>
    public MetricWriter Sample(
        MetricInfo metric, LatencyHistogram histogram, params ReadOnlySpan<string> labels)
    {
        var bounds = LatencyHistogram.BoundsSeconds;
        long count = 0;
        for (int i = 0; i <= bounds.Length; i++)
        {
            count += histogram.CountIn(i);
            string bound = i < bounds.Length ? Number(bounds[i]) : "+Inf";
            _text.Append(metric.Name).Append("_bucket");
            Labels(metric, labels, bound);
            Value(count);
        }

        _text.Append(metric.Name).Append("_sum");
        Labels(metric, labels, null);
        Value(histogram.SumSeconds);
        _text.Append(metric.Name).Append("_count");
        Labels(metric, labels, null);
        return Value(count);
    }

    public byte[] ToBytes() => Encoding.UTF8.GetBytes(_text.ToString());

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private MetricWriter Value(double value)
    {
        _text.Append(' ').Append(Number(value)).Append('\n');
        return this;
    }

    private void Labels(MetricInfo metric, ReadOnlySpan<string> values, string? bound)
    {
        if (values.Length != metric.Labels.Length)
            throw new ArgumentException($"{metric.Name} has other labels", nameof(values));
        char before = '{';
        for (int i = 0; i < values.Length; i++)
        {
            Label(before, metric.Labels[i], values[i]);
            before = ',';
        }

        if (bound is not null)
        {
            Label(before, "le", bound);
            before = ',';
        }

        if (before == ',')
            _text.Append('}');
    }

    private void Label(char before, string name, string value) => _text
        .Append(before).Append(name).Append("=\"")
        .Append(value.Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal))
        .Append('"');
}
