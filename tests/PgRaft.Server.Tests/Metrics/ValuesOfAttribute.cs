// Says on a test which metrics it compares with what was really done. MetricListTests finds by it
// the metric whose value no test compares. Threading: constants. Failure: none.
namespace PgRaft.Server.Tests.Metrics;

[AttributeUsage(AttributeTargets.Method)]
internal sealed class ValuesOfAttribute(params string[] metrics) : Attribute
{
    public IReadOnlyList<string> Metrics => metrics;
}
