// Base of the tests on real servers: shows the servers' logs when a test failed, and removes what
// the test made.
//
// Threading: one test at a time (parallel runs are off for the assembly). Failure: as the test's
// own.

namespace PgRaft.Cluster.Tests.Harness;

public abstract class ServerTest : IAsyncDisposable
{
    private readonly List<TestCluster> _watched = [];
    private readonly List<IAsyncDisposable> _owned = [];

    /// <summary>Starts a cluster that belongs to this test alone.</summary>
    protected async Task<TestCluster> NewClusterAsync(
        int size, Founding founding, Action<TestServer>? configure = null)
    {
        var cluster = await TestCluster.StartAsync(size, founding, configure);
        _owned.Add(cluster);
        _watched.Add(cluster);
        return cluster;
    }

    /// <summary>A server of this test, to be started by it.</summary>
    protected async Task<TestServer> NewServerAsync(int nodeId = 1, string? binDirectory = null)
    {
        var cluster = new TestCluster();
        var server = await TestServer.CreateAsync(nodeId, binDirectory);
        cluster.Adopt(server);
        _owned.Add(cluster);
        _watched.Add(cluster);
        return server;
    }

    /// <summary>Shows this cluster's logs when the test fails.</summary>
    protected void Watch(TestCluster cluster)
    {
        _watched.Add(cluster);
    }

    /// <summary>Disposes of it after the test, when the logs have been shown.</summary>
    protected void Own(IAsyncDisposable resource)
    {
        _owned.Add(resource);
    }

    /// <summary>What every test of the class asserts at its end, unless it has failed.</summary>
    protected virtual void Check()
    {
    }

    /// <summary>Adds a line to the test's output.</summary>
    protected static void Note(string text)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(text);
    }

    public async ValueTask DisposeAsync()
    {
        if (TestContext.Current.TestState?.Result == TestResult.Failed)
        {
            foreach (var cluster in _watched)
            {
                Note(cluster.Logs());
            }
        }

        string[] broken = [.. _watched.SelectMany(c => c.Servers).SelectMany(BrokenIn)];
        foreach (var resource in _owned)
        {
            await resource.DisposeAsync();
        }

        GC.SuppressFinalize(this);
        if (TestContext.Current.TestState?.Result != TestResult.Failed)
        {
            Check();
            Assert.True(broken.Length == 0, string.Join('\n', broken));
        }
    }

    // Whatever the test is about: the worker ends, and PostgreSQL starts another.
    private static IEnumerable<string> BrokenIn(TestServer server) => server.Log().Split('\n')
        .Where(line => line.Contains("broken invariant", StringComparison.Ordinal));
}
