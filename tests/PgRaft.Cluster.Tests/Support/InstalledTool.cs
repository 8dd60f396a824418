// Programs that tests need and this project does not build: Debian's, or as build/setup.sh --tests
// has unpacked them.
//
// Threading: no state. Failure: a program that is not there fails the test and says how to get it:
// a test that is left out unseen proves nothing.

namespace PgRaft.Cluster.Tests.Support;

internal static class InstalledTool
{
    /// <summary>Where the programs are that are unpacked only.</summary>
    public static string Unpacked { get; } = Path.Combine(TestRun.Top, "artifacts/tools");

    /// <summary>The path of a program, given the one that Debian's package has.</summary>
    public static string Find(string program)
    {
        var unpacked = Unpacked + program;
        var found = File.Exists(program) ? program : unpacked;
        Assert.True(
            File.Exists(found),
            $"{program} is not installed: run build/setup.sh --tests, or install its package");
        return found;
    }
}
