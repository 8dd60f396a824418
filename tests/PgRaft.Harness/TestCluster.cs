// A cluster of real servers on this machine: how it is founded, who leads, whether its members
// agree.
//
// Threading: one test drives a cluster. Failure: what does not happen in time throws with what
// was awaited; the servers' logs are added by the caller.

using System.Globalization;

namespace PgRaft.Harness;

public enum Founding
{
    /// <summary>The servers are started and left without a configuration.</summary>
    None,

    /// <summary>pgraft_init on node 1, then pgraft_add_node for each other node.</summary>
    AddNode,

    /// <summary>The same pgraft.initial_cluster on every member.</summary>
    InitialCluster,
}

public sealed class TestCluster : IAsyncDisposable
{
    private readonly List<TestServer> _servers = [];

    public IReadOnlyList<TestServer> Servers => _servers;

    public TestServer this[int nodeId] => _servers.First(s => s.NodeId == nodeId);

    /// <summary>Makes, starts and founds a cluster of nodes 1..<paramref name="size"/>.</summary>
    public static async Task<TestCluster> StartAsync(
        int size, Founding founding, Action<TestServer>? configure = null)
    {
        var cluster = new TestCluster();
        try
        {
            await cluster.FoundAsync(size, founding, configure);
            return cluster;
        }
        catch (Exception e)
        {
            var logs = cluster.Logs();
            await cluster.DisposeAsync();
            throw new InvalidOperationException(
                $"The cluster cannot be founded: {e.Message}\n{logs}", e);
        }
    }

    /// <summary>Makes and starts one more server, which is not yet a member.</summary>
    public async Task<TestServer> AddServerAsync(int nodeId, Action<TestServer>? configure = null)
    {
        var server = await TestServer.CreateAsync(nodeId);
        _servers.Add(server);
        configure?.Invoke(server);
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        return server;
    }

    public void Adopt(TestServer server)
    {
        _servers.Add(server);
    }

    /// <summary>The leader that all running servers agree on.</summary>
    public async Task<TestServer> LeaderAsync(TimeSpan? deadline = null)
    {
        var id = await Poll.UntilAsync(
            "a leader that every running member knows",
            async () =>
            {
                var leaders = await Task.WhenAll(Running().Select(s => s.LeaderAsync()));
                return leaders.Distinct().Count() == 1 ? leaders[0] : 0;
            },
            leader => leader > 0 && this[(int)leader].Postmaster != 0,
            deadline);
        return this[(int)id];
    }

    public async Task<TestServer> FollowerAsync()
    {
        var leader = await LeaderAsync();
        return Running().First(s => s != leader);
    }

    public IEnumerable<TestServer> Running()
    {
        return _servers.Where(s => s.Postmaster != 0);
    }

    /// <summary>Waits until all running members have applied the same to the same state.</summary>
    public async Task<string> AgreedStateAsync()
    {
        var states = await Poll.UntilAsync(
            "equal applied indexes and state hashes on all members",
            () => Task.WhenAll(Running().Select(EndpointStatusAsync)),
            answers => answers.Distinct().Count() == 1);
        return states[0];
    }

    /// <summary>Applied index, revision and state hash of one member, as it reports them.</summary>
    public static Task<string> EndpointStatusAsync(TestServer server)
    {
        var node = server.NodeId.ToString(CultureInfo.InvariantCulture);
        return server.ScalarAsync<string>(
            "SELECT concat_ws(' ', applied_index, revision, state_hash) "
            + $"FROM pgraft.endpoint_status WHERE node_id = {node}");
    }

    /// <summary>Waits until a write through the server is acknowledged.</summary>
    public static Task FirstWriteAsync(
        TestServer server, string key, TimeSpan? deadline = null)
    {
        return Poll.UntilAsync(
            $"a write through node {server.NodeId}",
            () => server.PutAsync(key, "written"),
            deadline);
    }

    public string Logs()
    {
        return string.Join('\n', _servers.Select(s => s.LogTail()));
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_servers.Select(s => s.DisposeAsync().AsTask()));
        _servers.Clear();
    }

    private async Task FoundAsync(int size, Founding founding, Action<TestServer>? configure)
    {
        for (var id = 1; id <= size; id++)
        {
            _servers.Add(await TestServer.CreateAsync(id));
        }

        var members = string.Join(',', _servers.Select(
            s => FormattableString.Invariant($"{s.NodeId}=127.0.0.1:{s.RaftPort}")));
        foreach (var server in _servers)
        {
            if (founding == Founding.InitialCluster)
            {
                server.Settings["pgraft.initial_cluster"] = $"'{members}'";
            }

            configure?.Invoke(server);
        }

        await Task.WhenAll(_servers.Select(s => s.StartAsync()));
        await Task.WhenAll(_servers.Select(s => s.ExecuteAsync("CREATE EXTENSION pgraft")));
        if (founding == Founding.AddNode)
        {
            await AddNodesAsync();
        }

        if (founding != Founding.None)
        {
            await LeaderAsync();
            await Task.WhenAll(_servers.Select(s => s.WaitForStateAsync("RUNNING")));
        }
    }

    private async Task AddNodesAsync()
    {
        await Task.WhenAll(_servers.Select(s => s.WaitForStateAsync("WAITING")));
        await TrueAsync("SELECT pgraft_init()");
        foreach (var server in _servers.Skip(1))
        {
            await TrueAsync(
                "SELECT pgraft_add_node($1, $2, $3)",
                server.NodeId,
                server.Place.Address,
                server.RaftPort);
        }
    }

    private async Task TrueAsync(string sql, params object[] arguments)
    {
        if (!await _servers[0].ScalarAsync<bool>(sql, arguments))
        {
            throw new InvalidOperationException($"{sql}: the answer is not true.");
        }
    }
}
