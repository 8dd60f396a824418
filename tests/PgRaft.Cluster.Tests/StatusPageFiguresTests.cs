// Every labelled figure and every column of the status page has a test that compares it with what
// was really done: one that says so with FiguresOf.
//
// Threading: one test, with a server of its own. Failure: the figures that differ.

using System.Reflection;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class StatusPageFiguresTests : StatusPageTest
{
    // Wherever they are: a list or a table of another id is found, too.
    private const string Shown = """
        [...[...document.querySelectorAll("dt")]
            .map(t => t.closest("dl").id + ": " + t.textContent),
          ...[...document.querySelectorAll("th")]
            .map(h => h.closest("table").tBodies[0].id + ": " + h.textContent)]
        """;

    [Fact]
    public async Task Every_figure_is_compared_with_what_was_done_by_a_test()
    {
        var cluster = await ClusterAsync(1, Founding.AddNode);
        await using var browser = await BrowserAsync(cluster[1]);
        await PageView.UntilAsync(browser.Page, "an answer", v => v.Node.Count > 0);
        var compared = typeof(StatusPageFiguresTests).Assembly.GetTypes()
            .SelectMany(t => t.GetMethods())
            .Where(m => m.GetCustomAttribute<FactAttribute>() is { Skip: null })
            .SelectMany(m => m.GetCustomAttributes<FiguresOfAttribute>())
            .SelectMany(f => f.Names);

        Assert.Equal(
            (await browser.Page.EvaluateAsync<string[]>(Shown)).Order(StringComparer.Ordinal),
            compared.Distinct().Order(StringComparer.Ordinal));
    }
}
