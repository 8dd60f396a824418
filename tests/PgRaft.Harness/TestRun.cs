// The run of a test program as a whole: where the staged PostgreSQL is, who runs servers, and
// the temporary directory everything lives in.
//
// Threading: the members are set once and may be read from any thread; the set of live servers is
// guarded by its lock. Failure: when the tree or the staged server is missing every test fails
// with a message that says what to run. At the end of the process, unless it is killed, the
// servers that are still alive are killed by the pids recorded here, whatever else was registered
// is undone in reverse order, and the directory is removed.

namespace PgRaft.Harness;

public sealed class TestRun : IDisposable
{
    public const string SuperUser = "postgres";

    private static readonly Lock Gate = new();
    private static readonly HashSet<int> LivePostmasters = [];
    private static readonly Stack<Action> Undo = new();
    private static readonly Lazy<string> LazyTop = new(FindTop);
    private static readonly Lazy<string> LazyBin = new(FindBin);
    private static readonly Lazy<string> LazyDirectory = new(MakeDirectory);
    private static int _names;

    /// <summary>The top of the source tree.</summary>
    public static string Top => LazyTop.Value;

    /// <summary>The staged server's bin directory.</summary>
    public static string BinDirectory => LazyBin.Value;

    /// <summary>The run's own directory, which the server's user may enter but not list.</summary>
    public static string Directory => LazyDirectory.Value;

    public static bool IsRoot => Environment.UserName == "root";

    /// <summary>The user that runs PostgreSQL, which refuses to run as root.</summary>
    public static string ServerUser => IsRoot
        ? Environment.GetEnvironmentVariable("PGRAFT_SERVER_USER") ?? "postgres"
        : Environment.UserName;

    /// <summary>Makes a new directory that belongs to the server's user.</summary>
    public static async Task<string> NewDirectoryAsync(string prefix)
    {
        var path = Path.Combine(Directory, $"{prefix}{Interlocked.Increment(ref _names)}");
        System.IO.Directory.CreateDirectory(path);
        await Command.GiveToServerUserAsync(path);
        return path;
    }

    /// <summary>Registers what must be undone when the run ends, after the servers are dead.
    /// </summary>
    internal static void AtEnd(Action undo)
    {
        lock (Gate)
        {
            Undo.Push(undo);
        }
    }

    internal static void Remember(int postmaster)
    {
        lock (Gate)
        {
            LivePostmasters.Add(postmaster);
        }
    }

    internal static void Forget(int postmaster)
    {
        lock (Gate)
        {
            LivePostmasters.Remove(postmaster);
        }
    }

    public void Dispose()
    {
        CleanUp();
    }

    private static void CleanUp()
    {
        lock (Gate)
        {
            foreach (var postmaster in LivePostmasters)
            {
                ServerProcesses.KillAll(postmaster);
            }

            LivePostmasters.Clear();
            while (Undo.TryPop(out var undo))
            {
                undo();
            }
        }

        if (LazyDirectory.IsValueCreated && System.IO.Directory.Exists(Directory))
        {
            System.IO.Directory.Delete(Directory, recursive: true);
        }
    }

    private static string FindTop()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "PgRaft.sln")))
            {
                return at.FullName;
            }
        }

        throw new InvalidOperationException("The tests must lie inside the source tree.");
    }

    private static string FindBin()
    {
        var given = Environment.GetEnvironmentVariable("PGRAFT_BINDIR");
        if (!string.IsNullOrEmpty(given))
        {
            return given;
        }

        var stage = Path.Combine(Top, "artifacts", "stage");
        var server = System.IO.Directory.Exists(stage)
            ? System.IO.Directory
                .EnumerateFiles(stage, "initdb", SearchOption.AllDirectories)
                .FirstOrDefault()
            : null;
        return Path.GetDirectoryName(server)
            ?? throw new InvalidOperationException("No staged PostgreSQL: run `make stage` first.");
    }

    private static string MakeDirectory()
    {
        // Short, because the request socket's path must fit in 107 bytes.
        var path = System.IO.Directory.CreateTempSubdirectory("pgraft-").FullName;
        File.SetUnixFileMode(
            path,
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
                | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => CleanUp();
        return path;
    }
}
