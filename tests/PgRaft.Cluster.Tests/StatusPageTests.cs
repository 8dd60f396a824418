// The status page in a real browser (Debian's chromium, headless): what it shows is what the
// members say, on a large and on a small screen. Pictures of it are left in artifacts/screenshots.
//
// Threading: one test. Failure: the page as the browser has it.

using System.Diagnostics;
using System.Globalization;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class StatusPageTests : ServerTest
{
    private const string Browser = "/usr/bin/chromium";
    private static readonly string Pictures =
        Path.Combine(TestRun.Top, "artifacts", "screenshots");

    [Fact]
    public async Task The_page_shows_members_log_and_history()
    {
        Assert.SkipUnless(File.Exists(Browser), "chromium is not installed");
        var ports = new Dictionary<int, int>();
        var cluster = await NewClusterAsync(3, Founding.InitialCluster, server =>
        {
            ports[server.NodeId] = Ports.Next();
            server.Settings["pgraft.metrics_enabled"] = "on";
            server.Settings["pgraft.metrics_port"] = ports[server.NodeId].ToString(
                CultureInfo.InvariantCulture);
        });
        var leader = await cluster.LeaderAsync();
        await leader.PutAsync("key", "value");
        var url = FormattableString.Invariant($"http://127.0.0.1:{ports[leader.NodeId]}/");

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
        using var process = Process.Start(new ProcessStartInfo(Browser, arguments)
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
            throw new TimeoutException($"{Browser} does not end");
        }

        Assert.True(process.ExitCode == 0, await errors);
        return await output;
    }
}
