// What an idle member costs, measured on the worker's process.

using System.Diagnostics;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class ResourceTests : ServerTest, IClassFixture<SharedCluster>
{
    private const long ResidentLimitBytes = 40L * 1024 * 1024;
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

        foreach (var server in _cluster.Servers)
        {
            var resident = ServerProcesses.ResidentBytes(server.WorkerPid);
            Note($"node {server.NodeId}: {resident >> 10} kB");
            Assert.True(resident < ResidentLimitBytes, $"node {server.NodeId}: {resident} bytes");
        }
    }

    [Fact]
    [Trait("Category", "long")]
    public async Task An_idle_worker_uses_less_than_a_hundredth_of_a_core_over_a_minute()
    {
        await _cluster.LeaderAsync();
        var workers = _cluster.Servers.Select(s => s.WorkerPid).ToArray();
        var clock = Stopwatch.StartNew();
        var before = workers.Select(ServerProcesses.ProcessorSeconds).ToArray();

        // The length of the measurement; nothing is waited for.
        await Task.Delay(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);

        var elapsed = clock.Elapsed.TotalSeconds;
        var shares = workers
            .Select((pid, i) => (ServerProcesses.ProcessorSeconds(pid) - before[i]) / elapsed)
            .ToArray();
        Note(string.Join(", ", shares.Select(s => $"{s:P2}")));
        Assert.All(shares, share => Assert.True(share < ProcessorLimit, $"{share:P2} of a core"));
    }
}
