// Base of the tests of the status page: servers that serve it, and a browser on one of them.
//
// Threading: one test. Failure: as the test's own.

using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests.Harness;

public abstract class StatusPageTest : ServerTest
{
    private readonly Dictionary<int, int> _ports = [];

    /// <summary>A cluster whose members serve the page.</summary>
    protected Task<TestCluster> ClusterAsync(
        int size, Founding founding = Founding.InitialCluster,
        Action<TestServer>? configure = null)
    {
        return NewClusterAsync(size, founding, server =>
        {
            Serve(server);
            configure?.Invoke(server);
        });
    }

    /// <summary>Makes a server that is yet to start serve the page.</summary>
    protected void Serve(TestServer server)
    {
        _ports[server.NodeId] = HttpPort.Open(server);
    }

    protected string UrlOf(TestServer server)
    {
        return FormattableString.Invariant($"http://127.0.0.1:{_ports[server.NodeId]}/");
    }

    /// <summary>A browser on a member's page that keeps what the page is served.</summary>
    private protected Task<Browser> BrowserAsync(TestServer server, bool mayLoseServer = false)
    {
        return Browser.OpenAsync(
            UrlOf(server), PageView.KeepWhatIsServed, mayLoseServer: mayLoseServer);
    }

    /// <summary>Puts keys of the form key/007 with values of a length.</summary>
    protected static Task PutAsync(TestServer server, int first, int last, int valueBytes)
    {
        return server.ScalarAsync<long>(
            "SELECT count(pgraft_kv_put('key/' || to_char(i, 'FM000'), repeat('v', $3))) "
            + "FROM generate_series($1, $2) i",
            first, last, valueBytes);
    }
}
