// One row of numbers and what has become of it: by how much each column has grown.
// Threading: one test. Failure: other than one row, and other than numbers, throws.

using System.Globalization;

namespace PgRaft.Cluster.Tests.Columns;

internal sealed class Numbers
{
    private readonly Dictionary<string, long> _values;

    private Numbers(Dictionary<string, long> values)
    {
        _values = values;
    }

    public long this[string column] => _values[column];

    /// <summary>Reads columns of the only row of a view or function.</summary>
    public static async Task<Numbers> OfAsync(
        TestServer server, string relation, params string[] columns)
    {
        var row = Assert.Single(await server.RowsAsync(
            $"SELECT {string.Join(", ", columns)} FROM {relation}"));
        var values = row.Split('|').Select(v => long.Parse(v, CultureInfo.InvariantCulture));
        return new Numbers(columns.Zip(values).ToDictionary(p => p.First, p => p.Second));
    }

    /// <summary>What has been added since.</summary>
    public string Since(Numbers before)
    {
        return string.Join(", ", _values.Select(
            v => FormattableString.Invariant($"{v.Key} {v.Value - before._values[v.Key]}")));
    }
}
