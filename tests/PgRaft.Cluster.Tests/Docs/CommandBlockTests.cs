// Executes every command block of the README, the quick start and the pages on operations and on
// backups, in order, on real servers, and compares what they print with what the page says. A
// command that no longer works fails here. Those for a host's root are HostBlockTests'.
//
// Failure: the page, the line of the block, and its output. Servers that a broken page leaves are
// stopped by their data directories.

using System.Globalization;
using System.Text.RegularExpressions;

namespace PgRaft.Cluster.Tests.Docs;

public sealed class CommandBlockTests
{
    private const int Servers = 7;

    // Running this test is how it is executed.
    private const string TestCommand = "make test";

    private static readonly string[] Kinds = ["sh build", "sh server", "sh host", "text"];

    [Theory]
    [InlineData("README.md")]
    [InlineData("docs/quick-start.md")]
    [InlineData("docs/operations.md")]
    [InlineData("docs/backup-and-recovery.md")]
    public async Task Every_command_block_does_what_the_page_says(string path)
    {
        var page = new DocPage(path);
        Assert.All(
            page.Blocks,
            b => Assert.True(Kinds.Contains(b.Kind), $"{path}:{b.Line}: cannot test \"{b.Kind}\""));
        var build = page.Blocks
            .Where(b => b.Kind == "sh build" && b.Text != TestCommand)
            .ToArray();
        var server = page.Blocks.Where(b => b.Kind == "sh server").ToArray();
        Assert.NotEmpty(build);
        Assert.NotEmpty(server);

        Compare(path, build, await DocShell.RunAsync(path, build, "", asServerUser: false));
        var directory = Path.Combine(await TestRun.NewDirectoryAsync("doc"), "servers");
        try
        {
            Compare(path, server, await DocShell.RunAsync(
                path, server, Settings(directory), DocShell.NeedsServerUser));
            Assert.False(Directory.Exists(directory), $"{path} does not clean up");
        }
        finally
        {
            await StopAllAsync(directory);
        }
    }

    [Fact]
    public void The_readme_begins_with_the_two_commands()
    {
        var commands = new DocPage("README.md").Blocks.Take(2).Select(b => b.Text);

        Assert.Equal(["make demo", TestCommand], commands);
    }

    // The variables that the first block sets, with this run's values; and time enough for a
    // machine that has other things to do.
    private static string Settings(string directory)
    {
        return $"""
            export PATH='{TestRun.BinDirectory}':$PATH
            export PGHOST='{directory}'
            export PGOPTIONS='-c pgraft.request_timeout=30s'
            pg=({PortList()})
            raft=({PortList()})
            """;
    }

    private static string PortList()
    {
        var ports = Enumerable.Range(0, Servers)
            .Select(_ => Ports.Next().ToString(CultureInfo.InvariantCulture));
        return $"0 {string.Join(' ', ports)}";
    }

    private static void Compare(
        string path, DocBlock[] blocks, IReadOnlyList<string> outputs)
    {
        Assert.Equal(blocks.Length, outputs.Count);
        foreach (var (block, output) in blocks.Zip(outputs))
        {
            if (block.Output is not null)
            {
                Assert.True(
                    Regex.IsMatch(output.Trim(), Pattern(block.Output)),
                    $"{path}:{block.Line}: printed\n{output}\nbut the page says\n{block.Output}");
            }
        }
    }

    private static string Pattern(string output)
    {
        var literal = Regex.Escape(output.Trim());
        return $"\\A{literal.Replace("…", "(?s:.*)", StringComparison.Ordinal)}\\z";
    }

    private static async Task StopAllAsync(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return;
        }

        foreach (var pid in Directory.EnumerateFiles(
            directory, "postmaster.pid", SearchOption.AllDirectories).ToArray())
        {
            await Command.TryRunPostgresAsync(
                TestRun.BinDirectory, "pg_ctl", "stop", "-s", "-m", "immediate", "-D",
                Path.GetDirectoryName(pid)!);
        }
    }
}
