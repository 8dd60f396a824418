// Says on a test which columns of a view or function it compares with what was really done, or,
// with no columns, that it does so for what a function returns. ColumnListTests finds by it the
// column whose value no test compares. Threading: constants. Failure: none.

namespace PgRaft.Cluster.Tests.Columns;

[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class ValuesOfAttribute(string relation, params string[] columns) : Attribute
{
    public string Relation => relation;

    public IReadOnlyList<string> Columns => columns;

    public IEnumerable<string> Names =>
        columns.Length == 0 ? [relation] : columns.Select(c => $"{relation}.{c}");
}
