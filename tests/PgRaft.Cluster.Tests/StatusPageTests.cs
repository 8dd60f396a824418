// The status page in a real browser (Debian's chromium, headless): what it shows is what the
// members say, on a large and on a small screen, and it is used without a mouse. Pictures of it are
// left in artifacts/screenshots.
//
// Threading: one test. Failure: the page as the browser has it.

using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
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

        var page = await BrowseAsync(url, "--virtual-time-budget=5000", "--dump-dom");

        Assert.Contains("Well: this node leads and holds the lease", page);
        Assert.Contains($"test-cluster, node {leader.NodeId}", page);
        Assert.All(cluster.Servers, s => Assert.Contains(
            FormattableString.Invariant($"<td>127.0.0.1:{s.RaftPort}</td>"), page));
        Assert.Contains($"<td>{leader.NodeId} (this)</td>", page);
        Assert.Contains("<td class=\"wide\">this node won the election</td>", page);
        Assert.Contains("<dt>Keys</dt><dd>1</dd>", page);
        var term = await leader.ScalarAsync<long>("SELECT pgraft_get_term()");
        Assert.Contains(
            FormattableString.Invariant($"<dt>Term</dt><dd>{term}</dd>"), page);

        Assert.Contains("<td>replicate</td><td>1.0</td>", page);

        Directory.CreateDirectory(Pictures);
        using var done = new CancellationTokenSource();
        var load = WriteAsync(leader, done.Token);
        await PictureAsync(url, "status-page.png", "1200,1100");
        await PictureAsync(url, "status-page-phone.png", "500,1400");
        await PictureAsync(
            url, "status-page-dark.png", "1200,1100", "--force-dark-mode",
            "--blink-settings=preferredColorScheme=0");
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

        var page = await BrowseAsync(
            UrlOf(follower), "--virtual-time-budget=5000", "--dump-dom");

        const string Unknown = "not known here";
        var body = page[page.IndexOf("id=\"members\"", StringComparison.Ordinal)..];
        var rows = body[..body.IndexOf("</tbody>", StringComparison.Ordinal)]
            .Split("<tr>").Skip(1)
            .Select(row => Cell().Matches(row).Select(m => m.Groups[1].Value).ToArray())
            .ToDictionary(cells => cells[0].Split(' ')[0]);

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
        Assert.Contains($"see the page of node {leader.NodeId}.", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_keyboard_reaches_every_table_and_shows_where_it_is()
    {
        var cluster = await ClusterAsync();
        await using var browser = await BrowserAsync(await cluster.LeaderAsync());
        await Poll.UntilAsync(
            "the page shows the members",
            () => browser.EvaluateAsync("`${document.querySelectorAll('#members tr').length}`"),
            rows => rows == "3");

        var reached = new List<string>();
        for (var i = 0; i < 2; i++)
        {
            await browser.PressTabAsync();
            reached.Add(await browser.EvaluateAsync(
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
        Assert.Equal("2", await browser.EvaluateAsync(
            "`${document.querySelectorAll('table').length}`"));
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
            async () => JsonDocument.Parse(await browser.EvaluateAsync(
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
        Assert.SkipUnless(File.Exists(Browser.Program), "chromium is not installed");
        return await NewClusterAsync(3, Founding.InitialCluster, server =>
        {
            _ports[server.NodeId] = Ports.Next();
            server.Settings["pgraft.metrics_enabled"] = "on";
            server.Settings["pgraft.metrics_port"] = _ports[server.NodeId].ToString(
                CultureInfo.InvariantCulture);
        });
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
        string url, string file, string size, params string[] options)
    {
        var path = Path.Combine(Pictures, file);
        File.Delete(path);
        await BrowseAsync(
            url,
            ["--virtual-time-budget=9000", $"--window-size={size}", $"--screenshot={path}",
                .. options]);
        Assert.True(new FileInfo(path).Length > 10_000, file);
    }

    private static async Task<string> BrowseAsync(string url, params string[] options)
    {
        var profile = await TestRun.NewDirectoryAsync("browser");
        string[] arguments =
        [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            $"--user-data-dir={profile}", .. options, url,
        ];
        using var process = Process.Start(new ProcessStartInfo(Browser.Program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{Browser.Program} does not end");
        }

        Assert.True(process.ExitCode == 0, await errors);
        return await output;
    }

    [GeneratedRegex("<td[^>]*>([^<]*)</td>")]
    private static partial Regex Cell();
}
