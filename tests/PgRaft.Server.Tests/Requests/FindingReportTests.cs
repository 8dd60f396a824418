// One list of findings for SQL and the status page.
using System.Text.Json;

using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Requests;
using PgRaft.Server.Tests.Fakes;
using PgRaft.Server.Tests.Http;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public class FindingReportTests
{
    private static readonly Finding Tls = new(
        "pgraft.tls_enabled", null, "warning", "no \"encryption\"", "Keep it private.");

    private static readonly Finding Restart = new(
        "pgraft.port", null, "warning", "waits for a restart", "Restart.");

    [Fact]
    public async Task What_the_shim_says_of_the_settings_is_shown_until_a_reload_says_else()
    {
        await using var host = await HttpHost.StartAsync(o => o with { Findings = [Tls] });
        Assert.Equal(["pgraft.tls_enabled", "members"], await SubjectsOnPageAsync(host));
        Assert.Equal([Tls], (await InSqlAsync(host)).Where(f => f.Subject == Tls.Subject));

        host.Host.Host.Reload(
            TestHost.Options(host.Host.Directory) with { Http = host.Http, Findings = [Restart] });

        Assert.Equal(["pgraft.port", "members"], await SubjectsOnPageAsync(host));
    }

    [Fact]
    public async Task The_page_shows_what_SQL_has_with_a_severity()
    {
        await using var host = await HttpHost.StartAsync(o => o with { Findings = [Tls, Restart] });

        var inSql = (await InSqlAsync(host)).Where(f => f.Severity is not null)
            .Select(f => f with { Value = null });

        Assert.Equal(inSql, await OnPageAsync(host));
    }

    // A node that has failed measures nothing; its settings are still what they are.
    [Fact]
    public async Task Findings_on_settings_outlive_the_node()
    {
        await using var host = await HttpHost.StartAsync(o => o with { Findings = [Tls] });
        host.Node.Fail(new PgraftException(StatusCode.IoError, "the disk is gone"));
        await Eventually.TrueAsync(() => host.Node.IsStopped, "the node has stopped");

        Assert.Equal([Tls], await OnPageAsync(host));
    }

    private static async Task<Finding[]> InSqlAsync(HttpHost host)
    {
        using var client = host.Host.Connect();
        var answer = await client.CallAsync(RequestCode.Findings);
        return
        [
            .. answer.Rows.Select(r => new Finding(
                (string)r[0]!, (string?)r[1], (string?)r[2], (string?)r[3], (string?)r[4])),
        ];
    }

    private static async Task<string[]> SubjectsOnPageAsync(HttpHost host) =>
        [.. (await OnPageAsync(host)).Select(f => f.Subject)];

    private static async Task<Finding[]> OnPageAsync(HttpHost host)
    {
        using var json = JsonDocument.Parse((await host.GetAsync("/status.json")).Body);
        return
        [
            .. json.RootElement.GetProperty("findings").EnumerateArray().Select(f => new Finding(
                f.GetProperty("subject").GetString()!, null,
                f.GetProperty("severity").GetString(), f.GetProperty("finding").GetString(),
                f.GetProperty("advice").GetString())),
        ];
    }
}
