// A NodeHost over a FakeNode, with its socket in a directory of its own.
using Microsoft.Extensions.Logging;

using PgRaft.Consensus;
using PgRaft.Server.Hosting;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Tests.Fakes;

internal sealed class TestHost : IAsyncDisposable
{
    private TestHost(string directory, HostOptions options)
    {
        Directory = directory;
        Host = new NodeHost(
            options,
            (_, state, loggers) =>
            {
                NodeLoggers = loggers;
                return Node = new FakeNode(state) { OnStart = () => OnNodeStart() };
            },
            Status,
            Log);
    }

    public string Directory { get; }

    public string SocketPath => Path.Combine(Directory, Wire.SocketName);

    public NodeHost Host { get; }

    public FakeNode Node { get; private set; } = null!;

    /// <summary>What the host gave the node to log with.</summary>
    public ILoggerFactory NodeLoggers { get; private set; } = null!;

    public Func<Task> OnNodeStart { get; set; } = () => Task.CompletedTask;

    public LogRecorder Log { get; } = new();

    public StatusRecorder Status { get; } = new();

    public static TestHost Create(Func<HostOptions, HostOptions>? change = null)
    {
        string directory = System.IO.Directory.CreateTempSubdirectory("pgraft").FullName;
        var options = Options(directory);
        return new TestHost(directory, change is null ? options : change(options));
    }

    public static async Task<TestHost> StartAsync(Func<HostOptions, HostOptions>? change = null)
    {
        var host = Create(change);
        await host.Host.StartAsync();
        return host;
    }

    public static HostOptions Options(string directory, int compactionThreshold = 0) => new()
    {
        Node = new NodeOptions
        {
            ClusterId = "test",
            Self = new MemberAddress(1, "10.0.0.1", 7001),
            ListenAddress = "127.0.0.1",
            DataDirectory = directory,
            InitialCluster = [],
            ElectionTimeoutMs = 1000,
            HeartbeatIntervalMs = 100,
            Version = "1.0",
            Runtime = new RuntimeOptions
            {
                SnapshotIntervalEntries = 10_000,
                MaxLogEntries = 1000,
                BatchSizeEntries = 100,
                MaxBatchDelayMs = 10,
                CompactionThresholdRevisions = compactionThreshold,
            },
        },
        MaxValueBytes = 4096,
        Debug = false,
    };

    public TestClient Connect() => new(SocketPath);

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
