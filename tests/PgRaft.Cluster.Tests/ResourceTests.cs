// What an idle member costs, measured on the worker's process.

using System.Diagnostics;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class ResourceTests : ServerTest, IClassFixture<SharedCluster>
{
    private const long ResidentLimitBytes = 40L * 1024 * 1024;
    private const long AddressSpaceLimitBytes = 32L << 30;
    private const double ProcessorLimit = 0.01;

    private readonly TestCluster _cluster;

    public ResourceTests(SharedCluster shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    [Fact]
    public async Task An_idle_worker_stays_below_forty_megabytes()
    {
        await _cluster.LeaderAsync();

        Assert.All(_cluster.Servers, StaysSmall);
    }

    // The collector would reserve 256 GB if it was let.
    [Fact]
    public async Task A_worker_reserves_little_address_space()
    {
        await _cluster.LeaderAsync();

        Assert.All(_cluster.Servers, server => Assert.InRange(
            ServerProcesses.AddressSpaceBytes(server.WorkerPid), 1, AddressSpaceLimitBytes));
    }

    [Fact]
    [Trait("Category", "long")]
    public async Task An_idle_worker_uses_less_than_a_hundredth_of_a_core_and_stays_small()
    {
        await UsesLittleAsync(_cluster, "HTTP off");
        Assert.All(_cluster.Servers, StaysSmall);
    }

    // A server that listens has work only when somebody connects.
    [Fact]
    [Trait("Category", "long")]
    public async Task An_idle_worker_that_serves_http_to_nobody_uses_no_more()
    {
        var cluster = await NewClusterAsync(
            3, Founding.InitialCluster, server => HttpPort.Open(server));
        foreach (var server in cluster.Servers)
        {
            await server.WaitForLogAsync("serving HTTP at");
        }

        await UsesLittleAsync(cluster, "HTTP on");
        Assert.All(cluster.Servers, StaysSmall);
    }

    private static async Task UsesLittleAsync(TestCluster cluster, string what)
    {
        await cluster.LeaderAsync();
        var workers = cluster.Servers.Select(s => s.WorkerPid).ToArray();
        var clock = Stopwatch.StartNew();
        var before = workers.Select(ServerProcesses.ProcessorSeconds).ToArray();

        // The length of the measurement; nothing is waited for.
        await Task.Delay(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);

        var elapsed = clock.Elapsed.TotalSeconds;
        var shares = workers
            .Select((pid, i) => (ServerProcesses.ProcessorSeconds(pid) - before[i]) / elapsed)
            .ToArray();
        Note($"processor over {elapsed:F0} s, {what}: "
            + string.Join(", ", shares.Select(s => $"{s:P2}")));
        Assert.All(shares, share => Assert.True(share < ProcessorLimit, $"{share:P2} of a core"));
    }

    private static void StaysSmall(TestServer server)
    {
        var resident = ServerProcesses.ResidentBytes(server.WorkerPid);
        Note($"resident memory of node {server.NodeId}: {resident / 1e6:F1} MB");
        Assert.True(resident < ResidentLimitBytes, $"node {server.NodeId}: {resident} bytes");
    }
}
