// A founded cluster of three that the tests of one class share, to save the time of making it.
// Tests that use it leave it as they found it: three members, all running.

namespace PgRaft.Cluster.Tests.Harness;

public sealed class SharedCluster : IAsyncLifetime
{
    private TestCluster? _cluster;

    public TestCluster Cluster => _cluster ?? throw new InvalidOperationException("Not started.");

    public async ValueTask InitializeAsync()
    {
        _cluster = await TestCluster.StartAsync(3, Founding.InitialCluster);
    }

    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }
    }
}
