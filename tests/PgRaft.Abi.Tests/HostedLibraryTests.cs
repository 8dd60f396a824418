using System.Globalization;
using System.Net;
using System.Net.Sockets;

using Xunit;

namespace PgRaft.Abi.Tests;

/// <summary>The built library, hosted by a C program as the worker hosts it.</summary>
public sealed class HostedLibraryTests : IDisposable
{
    private static readonly Lazy<string> Host =
        new(() => CHeader.Build("tests/PgRaft.Abi.Tests/host.c"));

    private readonly string _directory = Directory.CreateTempSubdirectory("pgraft").FullName;

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("PGRAFT_BAD_SETTING", null);
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void It_keeps_the_contract_and_takes_no_signal()
    {
        var (exitCode, output) = RunHost();
        Assert.True(exitCode == 0, string.Join('\n', output));
        Assert.Contains(output, l => l.StartsWith("state 2", StringComparison.Ordinal));
        Assert.Contains(
            output, l => l.StartsWith("log 1 2000 server", StringComparison.Ordinal));
    }

    [Fact]
    public void A_bad_setting_is_refused_and_named()
    {
        Environment.SetEnvironmentVariable("PGRAFT_BAD_SETTING", "1");
        var (exitCode, output) = RunHost();
        Assert.True(exitCode == 0, string.Join('\n', output));
    }

    private (int ExitCode, string[] Output) RunHost()
    {
        string library = Path.Combine(CHeader.Root, "artifacts/core/pgraft_core.so");
        if (!File.Exists(library))
            Assert.Skip($"{library} is not built; run make");
        return CHeader.Run(Host.Value, string.Create(
            CultureInfo.InvariantCulture, $"{library} {_directory}/data {FreePort()}"));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
