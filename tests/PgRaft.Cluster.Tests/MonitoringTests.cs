// HTTP on real servers: reload, what clients cost, Prometheus from Debian, the history.
//
// Threading: one test at a time, each with a cluster of its own. Failure: as the test's own.

using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using PgRaft.Cluster.Tests.Columns;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed partial class MonitoringTests : ServerTest, IAsyncLifetime
{
    private const long IdleConnectionsLimitBytes = 20_000_000;
    private const int IdleConnections = 1000;
    private static readonly TimeSpan ScrapeLimit = TimeSpan.FromMilliseconds(20);
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    private readonly Dictionary<int, int> _ports = [];
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync()
    {
        _cluster = await NewClusterAsync(
            3, Founding.InitialCluster, server => _ports[server.NodeId] = HttpPort.Open(server));
    }

    [Fact]
    public async Task Http_is_switched_on_off_and_moved_by_reload()
    {
        var server = _cluster[1];
        Assert.Equal(200, await StatusAsync(server, "/livez"));

        server.Settings["pgraft.metrics_enabled"] = "off";
        await server.ReloadAsync();
        await Poll.UntilAsync("HTTP is off", () => !IsListening(_ports[1]));

        _ports[1] = Ports.Next();
        server.Settings["pgraft.metrics_enabled"] = "on";
        server.Settings["pgraft.metrics_port"] = Number(_ports[1]);
        await server.ReloadAsync();
        await Poll.UntilAsync("HTTP is on", () => IsListening(_ports[1]));
        Assert.Equal(200, await StatusAsync(server, "/livez"));
        Assert.DoesNotContain("cannot serve HTTP", server.Log(), StringComparison.Ordinal);
    }

    // Without being switched off in between: to another address, then to another port of that.
    [Fact]
    public async Task Http_moves_to_another_address_and_port_by_reload()
    {
        const string Elsewhere = "127.0.0.2";
        var server = _cluster[1];
        var before = await ScrapeAsync(server);
        Assert.False(IsListening(_ports[1], Elsewhere));

        server.Settings["pgraft.metrics_address"] = $"'{Elsewhere}'";
        await server.ReloadAsync();
        await Poll.UntilAsync("HTTP is there", () => IsListening(_ports[1], Elsewhere));
        await Poll.UntilAsync("HTTP is gone here", () => !IsListening(_ports[1]));
        Assert.Equal(NodeIn(before), NodeIn(await ScrapeAsync(server, Elsewhere)));

        var old = _ports[1];
        _ports[1] = Ports.Next();
        server.Settings["pgraft.metrics_port"] = Number(_ports[1]);
        await server.ReloadAsync();
        await Poll.UntilAsync("HTTP is at the port", () => IsListening(_ports[1], Elsewhere));
        await Poll.UntilAsync("HTTP is not at the old", () => !IsListening(old, Elsewhere));
        Assert.Equal(NodeIn(before), NodeIn(await ScrapeAsync(server, Elsewhere)));
        Assert.DoesNotContain("cannot serve HTTP", server.Log(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_that_is_taken_costs_a_line_and_nothing_else()
    {
        var server = _cluster[1];
        var worker = server.WorkerPid;

        server.Settings["pgraft.metrics_port"] = Number(_ports[2]);
        await server.ReloadAsync();
        await Poll.UntilAsync(
            "the log says it",
            () => server.Log().Contains("cannot serve HTTP at", StringComparison.Ordinal));

        Assert.StartsWith(
            "HTTP is not served",
            await Poll.UntilAsync(
                "it is a finding",
                () => server.ScalarAsync<string>(
                    "SELECT coalesce(max(finding), '') FROM pgraft.settings_check "
                    + "WHERE name = 'pgraft.metrics_enabled'"),
                f => f.Length > 0),
            StringComparison.Ordinal);
        Assert.Equal(worker, server.WorkerPid);
        await TestCluster.FirstWriteAsync(server, "with/a/taken/port");
    }

    [Fact]
    public async Task A_thousand_idle_connections_cost_less_than_twenty_megabytes()
    {
        var server = await _cluster.LeaderAsync();
        await ScrapeAsync(server);
        var before = ServerProcesses.ResidentBytes(server.WorkerPid);
        var sockets = new List<Socket>();
        try
        {
            for (var i = 0; i < IdleConnections; i++)
            {
                sockets.Add(Connect(_ports[server.NodeId]));
            }

            // All are accepted when the newest is answered; each has been used once, as an idle
            // connection of a client has.
            foreach (var socket in sockets)
            {
                socket.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"u8);
                Assert.True(socket.Receive(new byte[1024]) > 0);
            }

            var after = ServerProcesses.ResidentBytes(server.WorkerPid);
            Note($"{IdleConnections} idle HTTP connections: {(after - before) / 1e6:F1} MB more "
                + $"than {before / 1e6:F1} MB");
            Assert.InRange(after - before, long.MinValue, IdleConnectionsLimitBytes);
        }
        finally
        {
            sockets.ForEach(s => s.Dispose());
        }
    }

    [Fact]
    public async Task A_scrape_under_load_takes_little()
    {
        var leader = await _cluster.LeaderAsync();
        using var done = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 8).Select(n => WriteAsync(leader, n, done.Token));
        var load = Task.WhenAll(writers.ToArray());
        var times = new List<TimeSpan>();
        for (var i = 0; i < 50; i++)
        {
            var start = Stopwatch.GetTimestamp();
            await ScrapeAsync(leader);
            times.Add(Stopwatch.GetElapsedTime(start));
        }

        await done.CancelAsync();
        var writes = (await load).Sum();
        times.Sort();
        Note($"scrape beside {writes} puts: median {times[25].TotalMilliseconds:F1} ms, "
            + $"95th percentile {times[47].TotalMilliseconds:F1} ms");
        Assert.True(times[25] < ScrapeLimit, $"{times[25]}");
    }

    [Fact]
    public async Task The_start_is_that_of_the_worker_also_of_its_next_one()
    {
        const double MostSeconds = 5;
        var server = _cluster[1];
        var first = StartIn(await ScrapeAsync(server));
        Assert.InRange(first - StartedAt(server), -1, MostSeconds);

        var ended = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0;
        await Command.RunAsync("kill", "-TERM", Number(server.WorkerPid));
        await Poll.UntilAsync(
            "another worker is there", () => IsListening(_ports[1]) && server.WorkerPid != 0
                && StartedAt(server) > ended - 1);
        var next = StartIn(await ScrapeAsync(server));
        Assert.InRange(next, ended, double.MaxValue);
        Assert.InRange(next - StartedAt(server), -1, MostSeconds);
    }

    [Fact]
    [ValuesOf("pgraft.history", "changed_at", "role", "term", "leader_id", "cause")]
    public async Task The_history_has_the_failover_and_its_cause()
    {
        var first = await _cluster.LeaderAsync();
        await first.KillAsync();
        var second = await _cluster.LeaderAsync();

        var last = await second.ScalarAsync<string>(
            "SELECT concat_ws('|', role, term = pgraft_get_term(), leader_id, cause, "
            + "now() - changed_at < '1 minute') FROM pgraft.history "
            + "ORDER BY changed_at DESC LIMIT 1");

        Assert.Equal(
            $"leader|t|{Number(second.NodeId)}|this node won the election|t", last);
    }

    [Fact]
    public async Task Prometheus_scrapes_every_member()
    {
        var directory = await TestRun.NewDirectoryAsync("prom");
        var port = Ports.Next();
        var config = Path.Combine(directory, "prometheus.yml");
        var targets = string.Join(", ", _ports.Values.Select(p => $"'127.0.0.1:{Number(p)}'"));
        await File.WriteAllTextAsync(
            config,
            $"""
            global: {"{"} scrape_interval: 1s, evaluation_interval: 1s {"}"}
            rule_files: ['{Path.Combine(TestRun.Top, "docs/monitoring/pgraft.rules.yml")}']
            scrape_configs:
              - job_name: pgraft
                static_configs: [{"{"} targets: [{targets}] {"}"}]
            """,
            TestContext.Current.CancellationToken);
        using var prometheus = Background.Start(
            "/usr/bin/prometheus", $"--config.file={config}",
            $"--storage.tsdb.path={Path.Combine(directory, "data")}",
            $"--web.listen-address=127.0.0.1:{Number(port)}");

        try
        {
            await QueryUntilAsync(port, "count(up == 1)", "3");
            await QueryUntilAsync(port, "sum(pgraft_is_leader)", "1");
            await QueryUntilAsync(
                port, "max(pgraft_term)", Number((await _cluster[1].ScalarAsync<long>(
                    "SELECT pgraft_get_term()"))));
            await _cluster[1].PutAsync("seen/by", "prometheus");
            await QueryUntilAsync(port, "max(pgraft_kv_puts_total) > 0", "1");
            foreach (var (query, legend) in DashboardQueries())
            {
                await ShowsAsync(port, query, legend);
            }
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{e.Message}\n{prometheus.Output}", e);
        }
    }

    private static string Number(long number)
    {
        return number.ToString(CultureInfo.InvariantCulture);
    }

    private static string NodeIn(string page)
    {
        return page.Split('\n').Single(
            l => l.StartsWith("pgraft_info{", StringComparison.Ordinal));
    }

    private static Socket Connect(int port, string address = "127.0.0.1")
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
        {
            ReceiveTimeout = 20_000,
        };
        socket.Connect(IPAddress.Parse(address), port);
        return socket;
    }

    private static bool IsListening(int port, string address = "127.0.0.1")
    {
        try
        {
            Connect(port, address).Dispose();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static async Task<int> WriteAsync(
        TestServer server, int number, CancellationToken done)
    {
        await using var connection = await server.OpenAsync();
        var writes = 0;
        while (!done.IsCancellationRequested)
        {
            await connection.ScalarAsync<bool>(
                "SELECT pgraft_kv_put($1, 'value')", $"load/{Number(number)}");
            writes++;
        }

        return writes;
    }

    private static Task<string> QueryUntilAsync(int port, string query, string expected)
    {
        return AnswersAsync(
            port, query, $"{query} is {expected}",
            rows => rows.GetArrayLength() == 1
                && rows[0].GetProperty("value")[1].GetString() == expected);
    }

    // As Grafana asks, with its variables filled in.
    private static (string Query, string Legend)[] DashboardQueries()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(
            Path.Combine(TestRun.Top, "docs/monitoring/grafana-dashboard.json")));
        return
        [
            .. json.RootElement.GetProperty("panels").EnumerateArray()
                .SelectMany(p => p.GetProperty("targets").EnumerateArray())
                .Select(t => (
                    t.GetProperty("expr").GetString()!
                        .Replace("$__rate_interval", "10s", StringComparison.Ordinal)
                        .Replace("$job", "pgraft", StringComparison.Ordinal),
                    t.GetProperty("legendFormat").GetString()!)),
        ];
    }

    // At least one line, and what the legend says of it.
    private static Task<string> ShowsAsync(int port, string query, string legend)
    {
        Assert.DoesNotContain("$", query, StringComparison.Ordinal);
        var labels = Label().Matches(legend).Select(m => m.Groups[1].Value).ToArray();
        return AnswersAsync(
            port, query, $"{query} has lines for {legend}",
            rows => rows.GetArrayLength() > 0 && rows.EnumerateArray().All(
                row => labels.All(l => row.GetProperty("metric").TryGetProperty(l, out _))));
    }

    private static Task<string> AnswersAsync(
        int port, string query, string what, Func<JsonElement, bool> isRight)
    {
        return Poll.UntilAsync(
            what,
            async () =>
            {
                try
                {
                    using var answer = await Http.GetAsync(new Uri(
                        $"http://127.0.0.1:{Number(port)}/api/v1/query?query="
                        + Uri.EscapeDataString(query)));
                    return await answer.Content.ReadAsStringAsync();
                }
                catch (HttpRequestException e)
                {
                    return e.Message;
                }
            },
            text => IsRight(text, isRight));
    }

    private static bool IsRight(string text, Func<JsonElement, bool> isRight)
    {
        // Before it is ready it does not answer, or with a text.
        if (!text.StartsWith('{'))
        {
            return false;
        }

        using var json = JsonDocument.Parse(text);
        return json.RootElement.GetProperty("status").GetString() == "success"
            && isRight(json.RootElement.GetProperty("data").GetProperty("result"));
    }

    // Before the worker has its files and its port, and each time that it starts.
    private static double StartedAt(TestServer server)
    {
        using var worker = Process.GetProcessById(server.WorkerPid);
        return new DateTimeOffset(worker.StartTime).ToUnixTimeMilliseconds() / 1000.0;
    }

    private static double StartIn(string page)
    {
        const string Name = "\npgraft_start_time_seconds ";
        return double.Parse(
            page.Split(Name)[1].Split('\n')[0], CultureInfo.InvariantCulture);
    }

    private Task<string> ScrapeAsync(TestServer server, string address = "127.0.0.1")
    {
        return Http.GetStringAsync(UrlOf(server, "/metrics", address));
    }

    private async Task<int> StatusAsync(TestServer server, string path)
    {
        using var answer = await Http.GetAsync(UrlOf(server, path));
        return (int)answer.StatusCode;
    }

    private Uri UrlOf(TestServer server, string path, string address = "127.0.0.1")
    {
        return new Uri($"http://{address}:{Number(_ports[server.NodeId])}{path}");
    }

    [GeneratedRegex("\\{\\{(\\w+)\\}\\}")]
    private static partial Regex Label();
}
