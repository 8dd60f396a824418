// The releases the tests have: the staged one, the next one (build/stage-next.sh), and one after
// that, which has dropped the protocol of today.
//
// Threading: no state. Failure: a release that was not staged throws, with what to run.

namespace PgRaft.Upgrade.Tests;

internal static class Releases
{
    public const string NowVersion = "1.0";
    public const string NextVersion = "1.1";

    private static readonly Lazy<string> LazyNext = new(FindNext);

    /// <summary>The bin directory of the release in the tree.</summary>
    public static string Now => TestRun.BinDirectory;

    /// <summary>The bin directory of the next release.</summary>
    public static string Next => LazyNext.Value;

    /// <summary>A bin directory whose pg_ctl starts the next release without the protocol of the
    /// one in the tree.</summary>
    public static async Task<string> AfterNextAsync()
    {
        var directory = await TestRun.NewDirectoryAsync("after");
        var script = Path.Combine(directory, "pg_ctl");
        await File.WriteAllTextAsync(script, $"""
            #!/bin/sh
            export PGRAFT_TEST_OLDEST_PROTOCOL=2
            exec '{Path.Combine(Next, "pg_ctl")}' "$@"

            """);
        File.SetUnixFileMode(
            script,
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
                | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        return directory;
    }

    private static string FindNext()
    {
        var given = Environment.GetEnvironmentVariable("PGRAFT_NEXT_BINDIR");
        if (!string.IsNullOrEmpty(given))
        {
            return given;
        }

        var stage = Path.Combine(TestRun.Top, "artifacts", "stage-next");
        var server = Directory.Exists(stage)
            ? Directory.EnumerateFiles(stage, "initdb", SearchOption.AllDirectories)
                .FirstOrDefault()
            : null;
        return Path.GetDirectoryName(server)
            ?? throw new InvalidOperationException(
                "The next release is not staged: run build/stage-next.sh first.");
    }
}
