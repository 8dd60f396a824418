// Runs programs for the tests: PostgreSQL's tools as the server's user, others as the caller.
//
// Threading: no state. Failure: a program that ends badly or takes longer than its deadline
// throws, with its output in the message.

using System.Diagnostics;

namespace PgRaft.Harness;

internal sealed record CommandResult(int Status, string Output);

internal static class Command
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    /// <summary>Runs a program as the caller; throws unless it ends with status 0.</summary>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        var result = await TryRunAsync(program, arguments);
        return result.Status == 0 ? result.Output : throw Failure(program, arguments, result);
    }

    /// <summary>Runs one of the staged PostgreSQL's programs as the server's user.</summary>
    public static async Task<string> RunPostgresAsync(string program, params string[] arguments)
    {
        var result = await TryRunPostgresAsync(TestRun.BinDirectory, program, arguments);
        return result.Status == 0 ? result.Output : throw Failure(program, arguments, result);
    }

    public static Task<CommandResult> TryRunPostgresAsync(
        string binDirectory, string program, params string[] arguments)
    {
        return TryRunAsServerUserAsync(Path.Combine(binDirectory, program), arguments);
    }

    /// <summary>Runs a program as the server's user in a place with a network namespace, and in a
    /// mount namespace where the place has a home. Needs root.</summary>
    public static Task<CommandResult> TryRunAsServerUserInAsync(
        ServerPlace place, string networkNamespace, string program, params string[] arguments)
    {
        string[] view = place.Home is null
            ? []
            :
            [
                "unshare", "--mount", "sh", "-e", "-c",
                $"mount --bind \"$0\" {ServerPlace.HomeSeen}; exec \"$@\"", place.Home,
            ];
        return TryRunAsync(
            "nsenter",
            [
                $"--net={ServerPlace.FileOf(networkNamespace)}", .. view,
                "runuser", "-u", TestRun.ServerUser, "--", program, .. arguments,
            ]);
    }

    public static Task<CommandResult> TryRunAsServerUserAsync(
        string program, params string[] arguments)
    {
        return TestRun.IsRoot
            ? TryRunAsync("runuser", ["-u", TestRun.ServerUser, "--", program, .. arguments])
            : TryRunAsync(program, arguments);
    }

    public static Task GiveToServerUserAsync(string path)
    {
        return TestRun.IsRoot
            ? RunAsync("chown", "-R", TestRun.ServerUser, path)
            : Task.CompletedTask;
    }

    public static async Task<CommandResult> TryRunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = "/",
        };
        using var process = Process.Start(start)
            ?? throw new InvalidOperationException($"{program} did not start.");
        process.StandardInput.Close();
        using var deadline = new CancellationTokenSource(Deadline);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            var error = process.StandardError.ReadToEndAsync(deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            return new CommandResult(process.ExitCode, await output + await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: false);
            throw new TimeoutException(
                $"{program} {string.Join(' ', arguments)}: not done in {Deadline}.");
        }
    }

    private static InvalidOperationException Failure(
        string program, string[] arguments, CommandResult result)
    {
        return new InvalidOperationException(
            $"{program} {string.Join(' ', arguments)}: status {result.Status}: {result.Output}");
    }
}
