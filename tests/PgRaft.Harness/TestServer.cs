// One real PostgreSQL server with pgraft: its directory, settings, life and death. SQL is in
// TestServer.Sql.cs.
//
// Threading: one test drives a server; SQL may be sent from many tasks at once. Failure: a server
// that does not start throws with the end of its log.

using System.Globalization;
using System.Text;

namespace PgRaft.Harness;

public sealed partial class TestServer : IAsyncDisposable
{
    private const int LogTailLines = 40;

    private static readonly Lazy<Task<string>> Template = new(MakeTemplateAsync);

    private readonly string _root;

    private TestServer(string root, int nodeId, string binDirectory, ServerPlace place)
    {
        _root = root;
        NodeId = nodeId;
        Place = place;
        BinDirectory = binDirectory;
        Settings = new Dictionary<string, string>
        {
            ["port"] = Number(Port),
            ["listen_addresses"] = $"'{place.Address}'",
            ["unix_socket_directories"] = $"'{root}'",
            ["fsync"] = "off",
            ["shared_buffers"] = "16MB",
            ["max_connections"] = "60",
            ["log_line_prefix"] = "'%m [%p] %b '",
            ["shared_preload_libraries"] = "'pgraft'",
            ["pgraft.cluster_id"] = "'test-cluster'",
            ["pgraft.node_id"] = Number(nodeId),
            ["pgraft.address"] = $"'{place.Address}'",
            ["pgraft.port"] = Number(RaftPort),
        };
    }

    public int NodeId { get; private set; }

    public ServerPlace Place { get; }

    public int Port { get; private set; } = Ports.Next();

    public int RaftPort { get; private set; } = Ports.Next();

    /// <summary>Where its programs are; takes effect at the next start or stop.</summary>
    public string BinDirectory { get; set; }

    public string DataDirectory => Path.Combine(_root, "data");

    public string LogFile => Path.Combine(_root, "log");

    /// <summary>Settings by name; they take effect at the next start or reload.</summary>
    public Dictionary<string, string> Settings { get; }

    /// <summary>pgraft's data_dir at its default.</summary>
    public string PgraftDirectory => Path.Combine(DataDirectory, "pgraft");

    public string SocketPath => Path.Combine(PgraftDirectory, "pgraft.sock");

    /// <summary>The pid of the postmaster, or 0 when the server is down.</summary>
    public int Postmaster { get; private set; }

    public int WorkerPid => ServerProcesses.WorkerOf(Postmaster);

    /// <summary>Makes a server with an empty database cluster; it is not started.</summary>
    public static async Task<TestServer> CreateAsync(
        int nodeId, string? binDirectory = null, ServerPlace? place = null)
    {
        var server = await CreateEmptyAsync(nodeId, binDirectory, place);
        var template = await Template.Value;
        await Command.RunAsync("cp", "-a", template, server.DataDirectory);
        return server;
    }

    /// <summary>Makes a server that has no data directory yet (for a base backup).</summary>
    public static async Task<TestServer> CreateEmptyAsync(
        int nodeId, string? binDirectory = null, ServerPlace? place = null)
    {
        var root = await TestRun.NewDirectoryAsync("n");
        return new TestServer(
            root, nodeId, binDirectory ?? TestRun.BinDirectory, place ?? ServerPlace.Loopback);
    }

    /// <summary>Makes this server another node, from its next start on.</summary>
    internal void BecomeNode(int nodeId)
    {
        NodeId = nodeId;
        Settings["pgraft.node_id"] = Number(nodeId);
    }

    /// <summary>Gives it the settings of a configuration file, its ports among them.</summary>
    internal void Take(IReadOnlyDictionary<string, string> settings)
    {
        foreach (var (name, value) in settings)
        {
            Settings[name] = value;
        }

        Port = int.Parse(Settings["port"], CultureInfo.InvariantCulture);
        RaftPort = int.Parse(Settings["pgraft.port"], CultureInfo.InvariantCulture);
    }

    /// <summary>Gives it another Raft port, from its next start on.</summary>
    internal void Move()
    {
        RaftPort = Ports.Next();
        Settings["pgraft.port"] = Number(RaftPort);

        // It would contradict the port, and has done its work.
        Settings.Remove("pgraft.initial_cluster");
    }

    /// <summary>Deletes pgraft's data_dir; the server must be down.</summary>
    internal void EmptyPgraftDirectory()
    {
        Directory.Delete(PgraftDirectory, recursive: true);
        Settings.Remove("pgraft.initial_cluster");
    }

    public async Task StartAsync()
    {
        var result = await TryStartAsync();
        if (result.Status != 0)
        {
            throw new InvalidOperationException(
                $"Server {NodeId} does not start: {result.Output}\n{LogTail()}");
        }
    }

    /// <summary>Starts the server; the result says whether it came up.</summary>
    internal async Task<CommandResult> TryStartAsync()
    {
        await WriteSettingsAsync();
        var result = await PgCtlAsync("start", "-l", LogFile, "-t", "30");
        if (result.Status == 0)
        {
            Postmaster = ReadPostmasterPid();
            TestRun.Remember(Postmaster);
        }

        return result;
    }

    public async Task StopAsync(string mode = "fast")
    {
        var postmaster = Postmaster;
        var result = await PgCtlAsync("stop", "-m", mode, "-t", "30");
        if (result.Status != 0)
        {
            throw new InvalidOperationException(
                $"Server {NodeId} does not stop ({mode}): {result.Output}\n{LogTail()}");
        }

        Gone(postmaster);
    }

    public async Task RestartAsync(string mode = "fast")
    {
        await StopAsync(mode);
        await StartAsync();
    }

    /// <summary>Ends every process of the server with SIGKILL; returns when all are gone.</summary>
    public async Task KillAsync()
    {
        var postmaster = Postmaster;
        var all = ServerProcesses.KillAll(postmaster);
        await Poll.UntilAsync($"server {NodeId} is dead", () => !all.Any(ServerProcesses.Exists));
        Gone(postmaster);
    }

    /// <summary>Writes the settings and makes the server read them.</summary>
    public async Task ReloadAsync()
    {
        await WriteSettingsAsync();
        await PgCtlAsync("reload");
    }

    public string Log()
    {
        return File.Exists(LogFile) ? File.ReadAllText(LogFile) : "";
    }

    public string LogTail()
    {
        var lines = Log().Split('\n');
        var tail = string.Join('\n', lines.TakeLast(LogTailLines));
        return $"--- log of server {NodeId} ({LogFile})\n{tail}";
    }

    public async ValueTask DisposeAsync()
    {
        if (Postmaster != 0)
        {
            await KillAsync();
        }

        Directory.Delete(_root, recursive: true);
    }

    internal Task WriteSettingsAsync()
    {
        var file = Path.Combine(DataDirectory, "postgresql.auto.conf");
        var text = new StringBuilder();
        foreach (var (name, value) in Settings)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name} = {value}\n");
        }

        return File.WriteAllTextAsync(file, text.ToString());
    }

    private static string Number(int value)
    {
        return value.ToString(CultureInfo.InvariantCulture);
    }

    // initdb takes a second; copying its result does not.
    private static async Task<string> MakeTemplateAsync()
    {
        var path = Path.Combine(await TestRun.NewDirectoryAsync("template"), "data");
        await Command.RunPostgresAsync(
            "initdb", "-N", "-A", "trust", "-U", TestRun.SuperUser, "-E", "UTF8", "--locale=C",
            "-D", path);
        return path;
    }

    private Task<CommandResult> PgCtlAsync(string action, params string[] arguments)
    {
        string[] all = [action, "-s", "-w", "-D", DataDirectory, .. arguments];
        return Place.NetworkNamespace is { } network
            ? Command.TryRunAsServerUserInAsync(
                Place, network, Path.Combine(BinDirectory, "pg_ctl"), all)
            : Command.TryRunPostgresAsync(BinDirectory, "pg_ctl", all);
    }

    private int ReadPostmasterPid()
    {
        var first = File.ReadLines(Path.Combine(DataDirectory, "postmaster.pid")).First();
        return int.Parse(first, CultureInfo.InvariantCulture);
    }

    private void Gone(int postmaster)
    {
        TestRun.Forget(postmaster);
        Postmaster = 0;
    }
}
