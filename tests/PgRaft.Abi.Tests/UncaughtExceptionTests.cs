using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

using Microsoft.Win32.SafeHandles;

using PgRaft.Native;
using PgRaft.Server.Hosting;

using Xunit;

namespace PgRaft.Abi.Tests;

/// <summary>An exception that nobody catches must end the node, not the process: the death of the
/// process would take every backend with it. The handler is the process's, so the node runs in one
/// of its own.</summary>
public sealed class UncaughtExceptionTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(nameof(InAThread))]
    [InlineData(nameof(InTheThreadPool))]
    public async Task An_exception_that_nobody_catches_ends_the_node_and_not_the_process(
        string where)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in (string[])
            ["-noLogo", "-noColor", "-explicit", "only", "-method", $"*.{where}"])
        {
            start.ArgumentList.Add(argument);
        }

        using var child = Process.Start(start)!;
        var token = TestContext.Current.CancellationToken;
        var errors = child.StandardError.ReadToEndAsync(token);
        string output = await child.StandardOutput.ReadToEndAsync(token);
        await child.WaitForExitAsync(token);
        Assert.True(child.ExitCode == 0, output + await errors);
        Assert.Contains("Total: 1, ", output, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public void InAThread() => EndsTheNode(() => new Thread(Throw).Start());

    [Fact(Explicit = true)]
    public void InTheThreadPool() =>
        EndsTheNode(() => ThreadPool.UnsafeQueueUserWorkItem(_ => Throw(), null));

    private static void Throw() => throw new InvalidOperationException("nobody catches this");

    private static unsafe void EndsTheNode(Action provoke)
    {
        string directory = Directory.CreateTempSubdirectory("pgraft").FullName;
        var status = (PgraftStatus*)NativeMemory.AllocZeroed((nuint)sizeof(PgraftStatus));
        using var wakes = new SafeFileHandle(Libc.EventFd(0, 0), ownsHandle: true);
        try
        {
            Start(directory, (int)wakes.DangerousGetHandle(), status);
            Await(status, WorkerState.Waiting);
            provoke();
            Await(status, WorkerState.Error);
            string error = Encoding.UTF8.GetString(
                MemoryMarshal.CreateReadOnlySpanFromNullTerminated(status->Error));
            Assert.Contains("nobody catches this", error, StringComparison.Ordinal);
        }
        finally
        {
            CoreInstance.Current?.RequestStop();
            Directory.Delete(directory, recursive: true);
        }
    }

    private static unsafe void Start(string directory, int wakeFd, PgraftStatus* status)
    {
        var config = new PgraftConfig
        {
            AbiVersion = Native.Abi.Version,
            StructBytes = (uint)sizeof(PgraftConfig),
            WakeFd = wakeFd,
            NodeId = 1,
            Port = FreePort(),
            ElectionTimeoutMs = 1000,
            HeartbeatIntervalMs = 100,
            SnapshotIntervalEntries = 10_000,
            MaxLogEntries = 1000,
            BatchSizeEntries = 100,
            MaxBatchDelayMs = 10,
            CompactionThresholdRevisions = 10_000,
            MaxValueSizeBytes = 1_572_864,
            ClusterId = Text("c"),
            Address = Text("127.0.0.1"),
            ListenAddress = Text(string.Empty),
            DataDir = Text(Path.Combine(directory, "data")),
            InitialCluster = Text(string.Empty),
            Version = Text("1.0"),
            MetricsPort = 9100,
            MetricsAddress = Text("127.0.0.1"),
        };
        CoreInstance.Start(&config, status);
    }

    private static unsafe void Await(PgraftStatus* status, WorkerState wanted)
    {
        var clock = Stopwatch.StartNew();
        bool Reached() => Volatile.Read(ref status->State) == (int)wanted;
        SpinWait.SpinUntil(Reached, Patience);
        Assert.True(Reached(), $"State {status->State} after {clock.Elapsed}, not {wanted}.");
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    // For the life of the process, which is short.
    private static unsafe byte* Text(string text) => (byte*)Marshal.StringToCoTaskMemUTF8(text);

    private static class Libc
    {
        [DllImport("libc", EntryPoint = "eventfd")]
        public static extern int EventFd(uint initial, int flags);
    }
}
