// The status page for who does not see it, uses no mouse, or has a phone: in a real browser
// (chromium, headless), of a cluster in which one member is down, so that all that can be shown is.
// What needs no browser is StatusPageSourceTests'.
//
// Threading: one test at a time, each with a cluster of its own. Failure: as the test's own.

using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed partial class StatusPageAccessTests : StatusPageTest
{
    // WCAG 2.2, 1.4.3 and 1.4.11.
    private const double TextContrast = 4.5;
    private const double LineContrast = 3;

    // A narrower window has cards in the place of rows.
    private const int LeastWithColumns = 641;

    // Every element with text of its own, as it is drawn now, and what it lies on; and lines.
    private const string Contrasts = """
        (() => {
          const parts = colour => colour.match(/[\d.]+/g).map(Number);
          const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
          const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255)
            + 0.0722 * linear(b / 255);
          const ground = e => {
            for (; e; e = e.parentElement) {
              const colour = parts(getComputedStyle(e).backgroundColor);
              if (colour.length < 4 || colour[3] === 1) return colour;
              if (colour[3] !== 0) throw new Error("half transparent");
            }
            throw new Error("no ground");
          };
          const contrast = (e, colour) => {
            const a = light(parts(colour)), b = light(ground(e));
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          };
          const texts = [...document.querySelectorAll("body *")]
            .filter(e => e.checkVisibility() && [...e.childNodes].some(
              n => n.nodeType === Node.TEXT_NODE && n.textContent.trim()))
            .map(e => ({ what: e.textContent, colour: getComputedStyle(e).color,
              contrast: contrast(e, getComputedStyle(e).color) }));
          const lines = [...document.querySelectorAll("path")].map(e => ({
            what: e.parentElement.id, colour: getComputedStyle(e).stroke,
            contrast: contrast(e, getComputedStyle(e).stroke) }));
          return JSON.stringify({ texts, lines });
        })()
        """;

    [Fact]
    public async Task Every_text_stands_out_from_what_it_lies_on_in_both_schemes()
    {
        var leader = await OneDownAsync();
        var colours = new HashSet<string>();
        foreach (var scheme in new[] { ColorScheme.Light, ColorScheme.Dark })
        {
            await using var browser = await OpenAsync(leader, 1200, scheme);
            foreach (var script in new[] { Contrasts, $"old(new Error('x')); {Contrasts}" })
            {
                var drawn = await browser.Page.EvaluateAsync<string>(script);
                var found = JsonSerializer.Deserialize<Drawn>(drawn, JsonSerializerOptions.Web)!;
                Assert.All(found.Texts, t => Assert.True(t.Contrast >= TextContrast, $"{t}"));
                Assert.All(found.Lines, l => Assert.True(l.Contrast >= LineContrast, $"{l}"));
                Assert.Equal(2, found.Lines.Length);

                // Ink, dim, good, bad and warn are all there.
                var here = found.Texts.Select(t => t.Colour).Distinct().ToArray();
                Assert.Equal(5, here.Length);
                colours.UnionWith(here);
            }
        }

        Assert.Equal(10, colours.Count);
    }

    // As the browser tells them to a screen reader.
    [Fact]
    public async Task Regions_figures_tables_and_columns_have_names()
    {
        var leader = await OneDownAsync();
        await using var browser = await OpenAsync(leader, 1200, ColorScheme.Light);

        var tree = await browser.Page.Locator("body").AriaSnapshotAsync();

        Assert.Equal(
            [
                "Changes on this node since its worker started, newest first", "Findings",
                "Log and snapshot", "Members", "Members as this node knows them",
                "Proposals on this node", "Role, term and leader over time", "This node",
            ],
            NamesOf(tree, "region"));
        Assert.Equal(
            [
                "Changes on this node since its worker started, newest first",
                "Members as this node knows them",
            ],
            NamesOf(tree, "table"));
        Assert.Equal(
            ["Address", "Answers", "Cause", "Lag", "Last contact", "Leader", "Node", "Replication",
                "Role", "Role", "Round trip", "Term", "Time", "Version"],
            NamesOf(tree, "columnheader"));
        foreach (var role in new[] { "figure", "img" })
        {
            var names = NamesOf(tree, role);
            Assert.Equal(3, names.Length);
            Assert.Matches("^Mean time: ", names[0]);
            Assert.Matches("^Rate: [0-9.]+ a second; at most ", names[1]);
            Assert.Matches("^Who led, as far as this node knew, for ", names[2]);
        }

        Assert.Matches("- status: .*Well: this node leads", tree);
    }

    [Fact]
    public async Task The_keyboard_reaches_and_scrolls_every_table_and_shows_where_it_is()
    {
        var leader = await OneDownAsync();
        await using var browser = await OpenAsync(leader, LeastWithColumns, ColorScheme.Light);
        var page = browser.Page;

        var reached = new List<string>();
        for (var i = 0; i < 2; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            reached.Add(await page.EvaluateAsync<string>(
                """
                (() => {
                  const e = document.activeElement, style = getComputedStyle(e);
                  const name = document.getElementById(e.getAttribute("aria-labelledby"));
                  const box = e.getBoundingClientRect();
                  const line = `${style.outlineStyle} ${style.outlineWidth}`;
                  return `${name?.textContent}: ${line} ${box.bottom > 0 && box.top < innerHeight}`;
                })()
                """));
            await page.Keyboard.PressAsync("ArrowRight");
            await Poll.UntilAsync(
                "it has scrolled",
                () => page.EvaluateAsync<bool>("document.activeElement.scrollLeft > 0"));
        }

        Assert.Equal(
            [
                "Members as this node knows them: solid 2px true",
                "Changes on this node since its worker started, newest first: solid 2px true",
            ],
            reached);
        Assert.Equal(2, await page.Locator("table").CountAsync());

        // And then it is out of the page, and comes back in.
        await page.Keyboard.PressAsync("Tab");
        Assert.Equal(
            "BODY", await page.EvaluateAsync<string>("document.activeElement.tagName"));
        await page.Keyboard.PressAsync("Shift+Tab");
        Assert.Equal(
            "c-history",
            await page.EvaluateAsync<string>(
                "document.activeElement.getAttribute('aria-labelledby')"));
    }

    // Nor has it boxes that hide something until they are scrolled.
    [Theory]
    [InlineData(360)]
    [InlineData(320)]
    public async Task A_phone_needs_no_scrolling_sideways(int width)
    {
        var leader = await OneDownAsync();
        await using var browser = await OpenAsync(leader, width, ColorScheme.Light);

        var outside = await browser.Page.EvaluateAsync<string[]>(
            """
            [...[document.documentElement, ...document.querySelectorAll(".scroll")]
                .filter(e => e.scrollWidth > e.clientWidth),
              ...[...document.querySelectorAll("body *")]
                .filter(e => !e.closest("thead") && e.getBoundingClientRect().right > innerWidth)]
              .map(e => e.outerHTML.slice(0, 80))
            """);

        Assert.Empty(outside);
        Assert.Equal(width, await browser.Page.EvaluateAsync<int>("innerWidth"));
    }

    // Seen, each cell has its column's name before it; told, it is the cell of a column.
    [Theory]
    [InlineData(360)]
    [InlineData(320)]
    public async Task A_phone_shows_each_cell_with_its_column(int width)
    {
        var leader = await OneDownAsync();
        await using var browser = await OpenAsync(leader, width, ColorScheme.Light);
        var cells = await browser.Page.EvaluateAsync<string[]>(
            """
            [...document.querySelectorAll("td")].map(c => {
              const head = c.closest("table").querySelectorAll("th")[c.cellIndex].textContent;
              const box = c.getBoundingClientRect();
              return [head, c.textContent, c.dataset.column === head,
                getComputedStyle(c, "::before").content === `"${head} " / ""`,
                box.width > 0 && box.left >= 0 && box.right <= innerWidth].join(" ");
            })
            """);
        var session = await browser.Page.Context.NewCDPSessionAsync(browser.Page);
        var told = (await session.SendAsync("Accessibility.getFullAXTree"))!.Value
            .GetProperty("nodes").EnumerateArray()
            .Where(n => !n.GetProperty("ignored").GetBoolean())
            .Select(n => n.GetProperty("role").GetProperty("value").GetString());

        Assert.True(cells.Length > (3 * 9) + 5, $"{cells.Length}");
        Assert.All(cells, c => Assert.EndsWith(" true true true", c, StringComparison.Ordinal));
        Assert.Equal(cells.Length, told.Count(r => r is "cell" or "gridcell"));
        Assert.Equal(14, told.Count(r => r == "columnheader"));
        Assert.Equal(2, told.Count(r => r == "table"));
    }

    // One member is down, and there are findings; so is what is good.
    private async Task<TestServer> OneDownAsync()
    {
        var cluster = await ClusterAsync(
            3, configure: s => s.Settings["pgraft.listen_address"] = "'*'");
        var follower = await cluster.FollowerAsync();
        await follower.KillAsync();
        var leader = await cluster.LeaderAsync();
        await leader.PutAsync("k", "v");
        return leader;
    }

    // Once there is a point of each curve.
    private async Task<Browser> OpenAsync(TestServer server, int width, ColorScheme scheme)
    {
        var browser = await Browser.OpenAsync(
            UrlOf(server), width: width, height: 740, scheme: scheme);
        try
        {
            await PageView.UntilAsync(
                browser.Page, "a member that is down and a point",
                v => v.Rate.Length > 0 && v.Members.Any(m => m["Role"] == "not reachable"));
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    private static string[] NamesOf(string tree, string role) =>
    [
        .. Line().Matches(tree).Where(m => m.Groups["role"].Value == role)
            .Select(m => m.Groups["name"].Value).Order(StringComparer.Ordinal),
    ];

    private sealed record Drawn(Text[] Texts, Text[] Lines);

    private sealed record Text(string What, string Colour, double Contrast);

    // Quoted as a whole where the name has a colon.
    [GeneratedRegex("^ *- '?(?<role>[a-z]+)(?: \"(?<name>[^\"]*)\")?", RegexOptions.Multiline)]
    private static partial Regex Line();
}
