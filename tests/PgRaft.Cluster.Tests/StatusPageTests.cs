// The status page in a real browser (chromium, headless): what it shows is what the
// members say, on a large and on a small screen, and it is used without a mouse. Pictures of it are
// left in artifacts/screenshots.
//
// Threading: one test. Failure: the page as the browser has it.

using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed partial class StatusPageTests : ServerTest
{
    private const int Points = 4;

    // Keeps what the page is served, besides handing it on.
    private const string KeepWhatIsServed = """
        window.served = [];
        const ask = window.fetch;
        window.fetch = async (...what) => {
          const answer = await ask(...what);
          window.served.push(await answer.clone().json());
          return answer;
        };
        """;

    private static readonly string Pictures =
        Path.Combine(TestRun.Top, "artifacts", "screenshots");

    private readonly Dictionary<int, int> _ports = [];

    [Fact]
    public async Task The_page_shows_members_log_and_history()
    {
        var cluster = await ClusterAsync();
        var leader = await cluster.LeaderAsync();
        await leader.PutAsync("key", "value");
        var url = UrlOf(leader);

        await using (var browser = await Browser.OpenAsync(url))
        {
            var page = browser.Page;
            await Expect(page.GetByText("Well: this node leads and holds the lease"))
                .ToBeVisibleAsync();
            await Expect(page.GetByText($"test-cluster, node {leader.NodeId}")).ToBeVisibleAsync();
            foreach (var server in cluster.Servers)
            {
                await Expect(Row(page, server)).ToContainTextAsync(
                    FormattableString.Invariant($"127.0.0.1:{server.RaftPort}"));
            }

            await Expect(Row(page, leader)).ToContainTextAsync($"{leader.NodeId} (this)");
            await Expect(Row(page, await cluster.FollowerAsync())).ToContainTextAsync("replicate");
            await Expect(Row(page, leader)).ToContainTextAsync("1.0");
            await Expect(page.Locator("#history")).ToContainTextAsync("this node won the election");
            await Expect(Named(page, "Keys")).ToHaveTextAsync("1");
            var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");
            await Expect(Named(page, "Term")).ToHaveTextAsync(
                term.ToString(CultureInfo.InvariantCulture));
            Assert.All(
                browser.Requests, r => Assert.StartsWith(url, r, StringComparison.Ordinal));

            // Live: no reload.
            await leader.PutAsync("another", "value");
            await Expect(Named(page, "Keys")).ToHaveTextAsync("2");
        }

        Directory.CreateDirectory(Pictures);
        using var done = new CancellationTokenSource();
        var load = WriteAsync(leader, done.Token);
        await PictureAsync(url, "status-page.png", 1200, 1100, ColorScheme.Light);
        await PictureAsync(url, "status-page-phone.png", 500, 1400, ColorScheme.Light);
        await PictureAsync(url, "status-page-dark.png", 1200, 1100, ColorScheme.Dark);
        await done.CancelAsync();
        await load;
    }

    // Only the leader measures how far the others are.
    [Fact]
    public async Task A_followers_page_says_what_it_does_not_know_of_the_others()
    {
        var cluster = await ClusterAsync();
        var follower = await cluster.FollowerAsync();
        var leader = await cluster.LeaderAsync();

        await using var browser = await Browser.OpenAsync(UrlOf(follower));
        var page = browser.Page;
        await Expect(page.Locator("#members tr")).ToHaveCountAsync(3);

        const string Unknown = "not known here";
        var rows = new Dictionary<string, string[]>();
        foreach (var row in await page.Locator("#members tr").AllAsync())
        {
            string[] cells = [.. await row.Locator("td").AllInnerTextsAsync()];
            rows.Add(cells[0].Split(' ')[0], cells);
        }

        // Answers, lag, last contact, round trip, replication.
        Assert.Equal(cluster.Servers.Count, rows.Count);
        Assert.Equal(
            ["yes", "–", "–", "–", "–"], rows[$"{follower.NodeId}"][3..8]);
        var ofLeader = rows[$"{leader.NodeId}"];
        Assert.Equal(("leader", "yes", Unknown), (ofLeader[2], ofLeader[3], ofLeader[4]));
        Assert.Matches("^[0-9.]+ ms$", ofLeader[5]);
        Assert.Equal([Unknown, Unknown], ofLeader[6..8]);
        var third = cluster.Servers.First(s => s != follower && s != leader);
        Assert.Equal([Unknown, Unknown], rows[$"{third.NodeId}"][3..5]);
        await Expect(page.GetByText($"see the page of node {leader.NodeId}."))
            .ToBeVisibleAsync();
    }

    [Fact]
    public async Task The_keyboard_reaches_every_table_and_shows_where_it_is()
    {
        var cluster = await ClusterAsync();
        await using var browser = await BrowserAsync(await cluster.LeaderAsync());
        var page = browser.Page;
        await Expect(page.Locator("#members tr")).ToHaveCountAsync(3);

        var reached = new List<string>();
        for (var i = 0; i < 2; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            reached.Add(await page.EvaluateAsync<string>(
                """
                (() => {
                  const e = document.activeElement, style = getComputedStyle(e);
                  const name = document.getElementById(e.getAttribute("aria-labelledby"));
                  return `${name?.textContent}: ${style.outlineStyle}, ${style.outlineWidth}`;
                })()
                """));
        }

        Assert.Equal(
            ["Members: solid, 2px", "Role, term and leader over time: solid, 2px"], reached);
        await Expect(page.Locator("table")).ToHaveCountAsync(2);
    }

    [Fact]
    public async Task The_curves_are_those_of_the_data_served()
    {
        var cluster = await ClusterAsync();
        var leader = await cluster.LeaderAsync();
        await using var puts = new SteadyPuts([leader], 4, TimeSpan.FromMilliseconds(30));
        await using var browser = await BrowserAsync(leader);

        // Between two answers and what is drawn of them the page may be caught with one more; at
        // first there may be no page yet.
        var drawn = await Poll.UntilAsync(
            "some points and the answers that they are of",
            async () => JsonDocument.Parse(await browser.Page.EvaluateAsync<string>(
                """
                JSON.stringify({ served: globalThis.served ?? [],
                  text: document.getElementById("rate-text")?.textContent,
                  rate: document.querySelector("#rate polyline")?.getAttribute("points") ?? "",
                  latency: document.querySelector("#latency polyline")?.getAttribute("points")
                    ?? "" })
                """)).RootElement,
            d => PointsOf(d, "rate").Length is >= Points and var points
                && d.GetProperty("served").GetArrayLength() == points + 1);

        var samples = drawn.GetProperty("served").EnumerateArray().Select(Sample.Of).ToArray();
        var pairs = samples.Zip(samples.Skip(1)).ToArray();
        Assert.Equal(
            Curve([.. pairs.Select(p => (p.Second.Applied - p.First.Applied)
                / (p.Second.At - p.First.At).TotalSeconds)]),
            PointsOf(drawn, "rate"));
        Assert.Equal(
            Curve([.. pairs.Select(p => (p.Second.Seconds - p.First.Seconds)
                / (p.Second.Count - p.First.Count))]),
            PointsOf(drawn, "latency"));
        Assert.Contains(
            FormattableString.Invariant($"({samples[^1].Applied} applied,"),
            drawn.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.True(puts.Count > 0);
    }

    /// <summary>What the curves are made of, of one answer.</summary>
    private sealed record Sample(DateTimeOffset At, long Applied, long Count, double Seconds)
    {
        // The page's clock has milliseconds.
        public static Sample Of(JsonElement status)
        {
            var time = status.GetProperty("time").GetDateTimeOffset().ToUnixTimeMilliseconds();
            var proposals = status.GetProperty("proposals");
            return new Sample(
                DateTimeOffset.FromUnixTimeMilliseconds(time),
                proposals.GetProperty("applied").GetInt64(),
                proposals.GetProperty("count").GetInt64(),
                proposals.GetProperty("seconds").GetDouble());
        }
    }

    // The newest value is at the right edge, one before it a unit to the left; the largest is at
    // the top, which is 2 of 40, and 38 is nothing.
    private static string[] Curve(double[] values)
    {
        return [.. values.Select((value, i) => FormattableString.Invariant(
            $"{120 - values.Length + i},{38 - (36 * value / values.Max()):F1}"))];
    }

    private static string[] PointsOf(JsonElement drawn, string name)
    {
        return drawn.GetProperty(name).GetString()!
            .Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    private async Task<TestCluster> ClusterAsync()
    {
        Browser.Require();
        return await NewClusterAsync(
            3, Founding.InitialCluster, server => _ports[server.NodeId] = HttpPort.Open(server));
    }

    private Task<Browser> BrowserAsync(TestServer server)
    {
        return Browser.OpenAsync(UrlOf(server), KeepWhatIsServed);
    }

    private string UrlOf(TestServer server)
    {
        return FormattableString.Invariant($"http://127.0.0.1:{_ports[server.NodeId]}/");
    }

    // So that there is something to be seen.
    private static async Task WriteAsync(TestServer server, CancellationToken done)
    {
        await using var connection = await server.OpenAsync();
        while (!done.IsCancellationRequested)
        {
            await connection.ScalarAsync<bool>("SELECT pgraft_kv_put('key', 'value')");
        }
    }

    private static async Task PictureAsync(
        string url, string file, int width, int height, ColorScheme scheme)
    {
        var path = Path.Combine(Pictures, file);
        File.Delete(path);
        await using var browser = await Browser.OpenAsync(url, null, width, height, scheme);
        await Expect(browser.Page.Locator("#rate polyline")).ToHaveAttributeAsync(
            "points", ManyPoints());
        await browser.Page.ScreenshotAsync(new PageScreenshotOptions { Path = path });
        Assert.True(new FileInfo(path).Length > 10_000, file);
        Assert.True(
            await browser.Page.EvaluateAsync<bool>(
                "document.documentElement.scrollWidth <= window.innerWidth"),
            $"{file}: wider than the screen");
    }

    private static ILocator Row(IPage page, TestServer server) =>
        page.Locator("#members tr").Nth(server.NodeId - 1);

    // The value beside a name in a list of them.
    private static ILocator Named(IPage page, string name) =>
        page.Locator($"dt:text-is(\"{name}\") + dd");

    private static ILocatorAssertions Expect(ILocator locator) => Assertions.Expect(locator);

    [GeneratedRegex("^(\\S+ ){5}")]
    private static partial Regex ManyPoints();
}
