// The documented way to replace a member whose data_dir is damaged or lost, taken from
// docs/troubleshooting.md and executed: what the page says is what is tested. Stopping and starting
// are the harness's, which keeps account of the server's processes.
//
// Threading: one test. Failure: a step that fails throws; a page with other steps too.

using System.Globalization;
using PgRaft.Cluster.Tests.Docs;

namespace PgRaft.Cluster.Tests.Support;

internal static class MemberReplacement
{
    private const string Page = "docs/troubleshooting.md";
    private const string Stop = "pg_ctl stop -D \"$PGDATA\"";
    private const string Start = "pg_ctl start -D \"$PGDATA\"";

    /// <summary>Replaces a member; returns when it runs and agrees with the others.</summary>
    public static async Task RunAsync(TestCluster cluster, TestServer damaged)
    {
        var steps = new DocPage(Page).Blocks
            .Where(b => b.Kind is "sql leader" or "sh member" or "conf")
            .ToArray();
        Assert.Equal(
            ["sql leader", "sh member", "conf", "sh member", "sql leader"],
            steps.Select(s => s.Kind));
        var others = cluster.Servers.Where(s => s != damaged).ToArray();
        var leader = cluster[(int)await others[0].LeaderAsync()];
        var successor = cluster.Servers.Max(s => s.NodeId) + 1;

        await leader.ExecuteAsync(Filled(steps[0].Text, damaged, successor));
        await StopAndEmptyAsync(steps[1].Text, damaged);
        var setting = Filled(steps[2].Text, damaged, successor);
        damaged.BecomeNode(successor);
        Assert.Equal(setting, $"pgraft.node_id = {damaged.Settings["pgraft.node_id"]}");
        Assert.Equal(Start, steps[3].Text);
        await damaged.StartAsync();
        await leader.ExecuteAsync(Filled(steps[4].Text, damaged, successor));

        await damaged.WaitForStateAsync("RUNNING");
        await cluster.AgreedStateAsync();
    }

    private static async Task StopAndEmptyAsync(string step, TestServer server)
    {
        var commands = step.Split('\n');
        Assert.Equal(Stop, commands[0]);
        await server.StopAsync();
        foreach (var command in commands[1..])
        {
            await Command.RunAsync("env", $"PGDATA={server.DataDirectory}", "sh", "-c", command);
        }
    }

    private static string Filled(string step, TestServer server, int successor)
    {
        return step
            .Replace("OLD_ID", Text(server.NodeId), StringComparison.Ordinal)
            .Replace("NEW_ID", Text(successor), StringComparison.Ordinal)
            .Replace("ADDRESS", "127.0.0.1", StringComparison.Ordinal)
            .Replace("PORT", Text(server.RaftPort), StringComparison.Ordinal);
    }

    private static string Text(int number)
    {
        return number.ToString(CultureInfo.InvariantCulture);
    }
}
