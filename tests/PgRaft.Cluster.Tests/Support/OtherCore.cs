// A second copy of the staged server that has another core library.
// Threading: no state. Failure: as the commands that make it.

namespace PgRaft.Cluster.Tests.Support;

internal static class OtherCore
{
    /// <summary>Compiles the library from a file of tests/abi; returns the copy's bin directory.
    /// </summary>
    public static Task<string> FromSourceAsync(string file)
    {
        var path = Path.Combine(TestRun.Top, "tests", "abi", file);
        return MakeAsync(core => Command.RunAsync(
            "gcc", "-std=gnu11", "-shared", "-fPIC", "-I", Path.Combine(TestRun.Top, "shim"),
            "-o", core, path, "-lpthread"));
    }

    /// <summary>Has the library made at the path given; returns the copy's bin directory.</summary>
    public static async Task<string> MakeAsync(Func<string, Task> makeCore)
    {
        var copy = await TestRun.NewDirectoryAsync("bin");
        var stage = StageOf(TestRun.BinDirectory);

        // Hard links where possible.
        var linked = await Command.TryRunAsync("cp", "-al", $"{stage}/.", copy);
        if (linked.Status != 0)
        {
            await Command.RunAsync("cp", "-a", $"{stage}/.", copy);
        }

        var core = Directory
            .EnumerateFiles(copy, "pgraft_core.so", SearchOption.AllDirectories)
            .Single();
        File.Delete(core);
        await makeCore(core);
        return copy + TestRun.BinDirectory[stage.Length..];
    }

    // The stage is the staged path without the path PostgreSQL was configured with.
    private static string StageOf(string bin)
    {
        for (var at = Path.GetDirectoryName(bin); at is not null; at = Path.GetDirectoryName(at))
        {
            if (File.Exists(Path.Combine(at, "postgres.stamp")))
            {
                return at;
            }
        }

        throw new InvalidOperationException($"{bin} does not lie in a stage.");
    }
}
