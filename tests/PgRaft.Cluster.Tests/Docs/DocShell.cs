// Runs the command blocks of a page in one shell and splits what they print, block by block.
//
// Ports and directories: the first `server` block of a page sets them in variables; the shell
// runs that block as it stands and then sets the same variables to this run's own values. The
// blocks after it use the variables only.
//
// Threading: one page at a time. Failure: a block that ends badly ends the shell and throws with
// its place and all output; a shell that takes too long is killed with what it started.

using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace PgRaft.Cluster.Tests.Docs;

internal static class DocShell
{
    private const string Mark = "@@block ";

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Runs blocks in one shell; <paramref name="settings"/> is run after the first of them.
    /// Returns the output of each.
    /// </summary>
    public static async Task<IReadOnlyList<string>> RunAsync(
        string page, IReadOnlyList<DocBlock> blocks, string settings, bool asServerUser)
    {
        var script = Path.Combine(await TestRun.NewDirectoryAsync("doc"), "script.sh");
        await File.WriteAllTextAsync(script, Script(page, blocks, settings));
        var result = asServerUser
            ? await ExecuteAsync("runuser", ["-u", TestRun.ServerUser, "--", "bash", script])
            : await ExecuteAsync("bash", [script]);
        Assert.True(
            result.Status == 0,
            $"{page}: ended with status {result.Status} in the last block shown:\n{result.Output}");
        return [.. result.Output
            .Split(Mark)
            .Skip(1)
            .Select(part => part[(part.IndexOf('\n') + 1)..])];
    }

    /// <summary>
    /// Whether to run blocks through runuser: PostgreSQL refuses to run as root.
    /// </summary>
    public static bool NeedsServerUser => TestRun.IsRoot;

    private static string Script(string page, IReadOnlyList<DocBlock> blocks, string settings)
    {
        var script = new StringBuilder();
        script.Append(CultureInfo.InvariantCulture, $"cd '{TestRun.Top}' 2>/dev/null || cd /\n");
        script.Append("exec 2>&1\nset -eo pipefail\n");
        for (var i = 0; i < blocks.Count; i++)
        {
            script.Append(
                CultureInfo.InvariantCulture, $"echo '{Mark}{page}:{blocks[i].Line}'\n");
            script.Append(blocks[i].Text).Append('\n');
            script.Append(i == 0 ? settings : "").Append('\n');
        }

        return script.ToString();
    }

    private static async Task<CommandResult> ExecuteAsync(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
            WorkingDirectory = "/",
        };

        // Those of a `make test` that this may be part of.
        start.Environment.Remove("MAKEFLAGS");
        start.Environment.Remove("MAKELEVEL");
        start.Environment.Remove("KEEP");
        using var process = Process.Start(start)
            ?? throw new InvalidOperationException($"{program} did not start.");
        process.StandardInput.Close();
        using var deadline = new CancellationTokenSource(Deadline);
        var output = new StringBuilder();
        try
        {
            while (await process.StandardOutput.ReadLineAsync(deadline.Token) is { } line)
            {
                output.Append(line).Append('\n');
            }

            await process.WaitForExitAsync(deadline.Token);
            return new CommandResult(process.ExitCode, output.ToString());
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program}: not done in {Deadline}:\n{output}");
        }
    }
}
