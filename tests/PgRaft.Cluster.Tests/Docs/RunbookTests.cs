// The runbooks of the page on monitoring: every statement in them is one that a member answers.
//
// Threading: one test, on a cluster that other tests share. Failure: the statement.

using System.Text.RegularExpressions;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests.Docs;

public sealed class RunbookTests : ServerTest, IClassFixture<SharedCluster>
{
    private readonly TestCluster _cluster;

    public RunbookTests(SharedCluster shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    [Fact]
    public async Task Every_statement_of_the_runbooks_is_answered()
    {
        var page = new DocPage("docs/monitoring.md");
        var statements = page.Blocks.Where(b => b.Kind == "sql").Select(b => b.Text)
            .Concat(Regex.Matches(page.Prose(), "`(SELECT [^`]+)`").Select(m => m.Groups[1].Value))
            .Distinct()
            .ToArray();
        Assert.True(statements.Length > 10, string.Join('\n', statements));

        // The leader answers all; what a runbook asks of every member, a follower answers as well.
        foreach (var statement in statements)
        {
            await (await _cluster.LeaderAsync()).ExecuteAsync(statement);
        }

        var follower = await _cluster.FollowerAsync();
        foreach (var statement in statements.Where(s => !s.Contains("transfer")))
        {
            await follower.ExecuteAsync(statement);
        }
    }
}
