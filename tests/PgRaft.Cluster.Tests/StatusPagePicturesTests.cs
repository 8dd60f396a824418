// Pictures of the status page, as docs/monitoring has them: of a cluster that is being written to
// and has a history: its leader was killed and came back, leadership was handed over, one member
// was replaced by another. Left in artifacts/screenshots; `make pictures` copies them to the docs.
//
// Threading: one test. Failure: as the test's own.

using Microsoft.Playwright;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class StatusPagePicturesTests : StatusPageTest
{
    private const int Points = 10;

    private static readonly string Pictures =
        Path.Combine(TestRun.Top, "artifacts", "screenshots");

    [Fact]
    public async Task A_cluster_with_a_history_is_shown_large_small_and_dark()
    {
        var cluster = await ClusterAsync(3, configure: Findings);
        var leader = await HistoryAsync(cluster);
        Directory.CreateDirectory(Pictures);

        await using var load = new Tide(leader);
        var views = await Task.WhenAll(
            PictureAsync(leader, "status-page.png", 1200, ColorScheme.Light),
            PictureAsync(leader, "status-page-dark.png", 1200, ColorScheme.Dark),
            PictureAsync(leader, "status-page-phone.png", 390, ColorScheme.Light));

        Assert.All(views, view =>
        {
            Assert.StartsWith("Well: ", view.Verdict, StringComparison.Ordinal);
            Assert.Equal(["follower", "follower", "leader"], view.Members.Select(m => m["Role"])
                .Order(StringComparer.Ordinal));
            Assert.Contains(view.Members, m => m["Node"] == "4");
            Assert.True(view.History.Length >= 5, view.ToString());
            Assert.True(view.Findings.Length >= 3, view.ToString());
        });
    }

    private static void Findings(TestServer server)
    {
        server.Settings["pgraft.cluster_id"] = "'orders'";
        server.Settings["pgraft.listen_address"] = "'*'";
        server.Settings["pgraft.election_timeout"] = "1500";
        server.Settings["pgraft.heartbeat_interval"] = "200";
    }

    private async Task<TestServer> HistoryAsync(TestCluster cluster)
    {
        var first = await cluster.LeaderAsync();
        await PutAsync(first, 1, 500, 400);
        await first.KillAsync();
        var second = await cluster.LeaderAsync();
        await first.StartAsync();
        await cluster.AgreedStateAsync();

        // Handed over, and back.
        var third = cluster.Servers.First(s => s != first && s != second);
        await HandOverAsync(cluster, second, third);
        await HandOverAsync(cluster, third, second);

        await Support.Members.RemoveAsync(second, third.NodeId);
        await third.StopAsync();
        var fourth = await cluster.AddServerAsync(4, server =>
        {
            Serve(server);
            Findings(server);
        });
        await fourth.WaitForStateAsync("WAITING");
        await Support.Members.AddAsync(second, fourth);
        await second.ScalarAsync<long>("SELECT pgraft_snapshot()");
        return second;
    }

    private static async Task HandOverAsync(TestCluster cluster, TestServer from, TestServer to)
    {
        Assert.True(await from.ScalarAsync<bool>(
            "SELECT pgraft_transfer_leadership($1)", to.NodeId));
        await Poll.UntilAsync(
            $"node {to.NodeId} leads", async () => await cluster.LeaderAsync() == to);
    }

    private async Task<PageView> PictureAsync(
        TestServer server, string file, int width, ColorScheme scheme)
    {
        var path = Path.Combine(Pictures, file);
        File.Delete(path);
        await using var browser = await Browser.OpenAsync(
            UrlOf(server), width: width, height: 900, scheme: scheme);
        await PageView.UntilAsync(
            browser.Page, $"{Points} points", v => v.Latency.Split('L').Length > Points);
        await browser.Page.ScreenshotAsync(
            new PageScreenshotOptions { Path = path, FullPage = true });
        Assert.True(new FileInfo(path).Length > 10_000, file);
        Assert.True(
            await browser.Page.EvaluateAsync<bool>(
                "document.documentElement.scrollWidth <= window.innerWidth"),
            $"{file}: wider than the screen");
        return await PageView.OfAsync(browser.Page);
    }

    /// <summary>Writers that come and go, as load does.</summary>
    private sealed class Tide : IAsyncDisposable
    {
        private static readonly TimeSpan High = TimeSpan.FromSeconds(5);
        private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

        private readonly CancellationTokenSource _over = new();
        private readonly SteadyPuts _always;
        private readonly Task _tides;

        public Tide(TestServer server)
        {
            _always = new SteadyPuts([server], 2, Pace);
            _tides = Task.Run(() => RiseAndFallAsync(server));
        }

        public async ValueTask DisposeAsync()
        {
            await _over.CancelAsync();
            await _tides;
            await _always.DisposeAsync();
            _over.Dispose();
        }

        private async Task RiseAndFallAsync(TestServer server)
        {
            while (!_over.IsCancellationRequested)
            {
                await using (new SteadyPuts([server], 4, Pace))
                {
                    await PauseAsync();
                }

                await PauseAsync();
            }
        }

        // The load's own rhythm; nothing is waited for.
        private Task PauseAsync() => Task.Delay(High, _over.Token)
            .ContinueWith(_ => { }, TaskScheduler.Default);
    }
}
