// Says on a test which figures of the status page it compares with what was really done: names of
// the list or columns of the table with an id. StatusPageFiguresTests finds by it the figure that
// no test compares. Threading: constants. Failure: none.

namespace PgRaft.Cluster.Tests.Support;

[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class FiguresOfAttribute(string id, params string[] figures) : Attribute
{
    public string Id => id;

    public IReadOnlyList<string> Figures => figures;

    public IEnumerable<string> Names => figures.Select(f => $"{id}: {f}");
}
