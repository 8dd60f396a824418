// The list of metrics: as documented, as served, as Prometheus wants it, each with a test of its
// value; and everything that is made for it (alerts, dashboard) names only metrics that there are.
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

using PgRaft.Server.Metrics;
using PgRaft.Server.Tests.Cluster;
using PgRaft.Server.Tests.Http;

using Xunit;

namespace PgRaft.Server.Tests.Metrics;

public partial class MetricListTests
{
    private static readonly string Docs = Path.Combine(Root(), "docs");

    [Fact]
    public void The_documented_metrics_are_those_of_the_code()
    {
        var documented = File.ReadLines(Path.Combine(Docs, "metrics.md"))
            .Where(l => l.StartsWith("| `", StringComparison.Ordinal));

        Assert.Equal(MetricList.All.Select(RowOf), documented);
    }

    [Fact]
    public async Task What_is_served_is_what_is_listed()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        var scraped = Exposition.Parse(
            (await HttpHost.GetAsync(cluster.HttpPort(leader), "/metrics")).Body);

        Assert.Equal(
            MetricList.All.Select(m => (m.Name, m.Type.ToString().ToLowerInvariant(), m.Help))
                .Order(),
            scraped.Types.Select(t => (t.Key, t.Value, scraped.Helps[t.Key])).Order());
        Assert.All(scraped.Samples.Keys, sample => Assert.Contains(
            MetricList.All, m => IsOf(sample, m)));
    }

    [Fact]
    public void Every_metric_is_compared_with_what_was_done_by_a_test()
    {
        var compared = typeof(MetricListTests).Assembly.GetTypes()
            .SelectMany(t => t.GetMethods())
            .Where(m => m.GetCustomAttribute<FactAttribute>() is { Skip: null })
            .SelectMany(m => m.GetCustomAttribute<ValuesOfAttribute>()?.Metrics ?? []);

        Assert.Equal(MetricList.All.Select(m => m.Name).Order(), compared.Distinct().Order());
    }

    [Fact]
    public void Names_follow_the_conventions()
    {
        Assert.Equal(MetricList.All.Count, MetricList.All.Select(m => m.Name).Distinct().Count());
        Assert.All(MetricList.All, m => Assert.Equal(
            m.Type == MetricType.Counter, m.Name.EndsWith("_total", StringComparison.Ordinal)));
        Assert.All(
            MetricList.All.Where(m => m.Type == MetricType.Histogram),
            m => Assert.EndsWith("_seconds", m.Name, StringComparison.Ordinal));
        Assert.All(MetricList.All, m => Assert.Matches("^[A-Z1].*[^.]$", m.Help));
    }

    [Fact]
    public async Task Promtool_finds_nothing_to_mend()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        string text = (await HttpHost.GetAsync(cluster.HttpPort(leader), "/metrics")).Body;

        var (status, output) = await PromtoolAsync(text, "check", "metrics");

        Assert.True(status == 0 && output.Length == 0, output);
    }

    [Theory]
    [InlineData("check", "rules", "pgraft.rules.yml")]
    [InlineData("test", "rules", "pgraft.rules.test.yml")]
    public async Task The_alerts_do_what_they_should(string verb, string what, string file)
    {
        var (status, output) = await PromtoolAsync(
            null, verb, what, Path.Combine(Docs, "monitoring", file));

        Assert.True(status == 0, output);
    }

    // An alert that never fires passes every test that expects none.
    [Fact]
    public void Every_alert_fires_in_a_test()
    {
        string tests = File.ReadAllText(Path.Combine(Docs, "monitoring", "pgraft.rules.test.yml"));
        var fired = Fired().Matches(tests).Select(m => m.Groups[1].Value).Distinct();

        Assert.Equal(Alerts().Order(), fired.Order());
    }

    [Fact]
    public void Every_alert_has_a_runbook()
    {
        string chapter = File.ReadAllText(Path.Combine(Docs, "monitoring.md"));
        string[] alerts = Alerts();

        Assert.NotEmpty(alerts);
        Assert.All(alerts, a => Assert.Contains($"### {a}\n", chapter, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("pgraft.rules.yml")]
    [InlineData("grafana-dashboard.json")]
    public void Only_metrics_that_there_are_are_asked_for(string file)
    {
        string text = File.ReadAllText(Path.Combine(Docs, "monitoring", file));
        var names = MetricName().Matches(text).Select(m => m.Value).Distinct().ToArray();

        Assert.NotEmpty(names);
        Assert.All(names, name => Assert.Contains(MetricList.All, m => IsOf(name, m)));
    }

    [Fact]
    public void Every_panel_of_the_dashboard_has_a_query_and_a_title()
    {
        using var json = JsonDocument.Parse(
            File.ReadAllText(Path.Combine(Docs, "monitoring", "grafana-dashboard.json")));

        Assert.All(json.RootElement.GetProperty("panels").EnumerateArray(), panel =>
        {
            Assert.NotEmpty(panel.GetProperty("title").GetString()!);
            Assert.All(
                panel.GetProperty("targets").EnumerateArray(),
                t => Assert.Matches(MetricName(), t.GetProperty("expr").GetString()!));
        });
    }

    private static string[] Alerts() =>
    [
        .. Alert().Matches(File.ReadAllText(Path.Combine(Docs, "monitoring", "pgraft.rules.yml")))
            .Select(m => m.Groups[1].Value),
    ];

    private static string RowOf(MetricInfo m) => string.Create(
        CultureInfo.InvariantCulture,
        $"| `{m.Name}` | {m.Type.ToString().ToLowerInvariant()} | "
        + $"{string.Join(", ", m.Labels.Select(l => $"`{l}`"))} | {m.Help} |");

    private static bool IsOf(string sample, MetricInfo metric)
    {
        string name = sample.Split('{')[0];
        return name == metric.Name || (metric.Type == MetricType.Histogram
            && new[] { "_bucket", "_sum", "_count" }.Any(s => name == metric.Name + s));
    }

    // Of Debian's package prometheus, or as build/setup.sh has unpacked it.
    private static async Task<(int Status, string Output)> PromtoolAsync(
        string? input, params string[] arguments)
    {
        const string installed = "/usr/bin/promtool";
        string program = File.Exists(installed)
            ? installed
            : Path.Combine(Root(), "artifacts/tools" + installed);
        Assert.True(
            File.Exists(program),
            "promtool is not installed: run build/setup.sh --tests, or install prometheus");
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        if (input is not null)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(input);
            await process.StandardInput.BaseStream.WriteAsync(
                bytes, TestContext.Current.CancellationToken);
        }

        process.StandardInput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output + await errors);
    }

    private static string Root()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "pgraft.control")))
            directory = directory.Parent ?? throw new DirectoryNotFoundException("no tree");
        return directory.FullName;
    }

    [GeneratedRegex(@"\b(pgraft|process)_[a-z_]+[a-z]\b")]
    private static partial Regex MetricName();

    [GeneratedRegex(@"alertname: (\w+)\s+exp_alerts:\s+- exp_labels:")]
    private static partial Regex Fired();

    [GeneratedRegex(@"- alert: (\w+)")]
    private static partial Regex Alert();
}
