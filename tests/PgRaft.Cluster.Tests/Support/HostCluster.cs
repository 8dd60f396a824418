// A cluster whose servers have a host each, so that all have the same ports.
//
// Threading: one test. Failure: one that does not form throws with the servers' logs.

namespace PgRaft.Cluster.Tests.Support;

internal static class HostCluster
{
    /// <summary>pgraft.port of every member.</summary>
    public const string RaftPort = "7001";

    /// <summary>Starts so many members, who found a cluster together and have a leader.</summary>
    public static async Task<TestCluster> StartAsync(HostNetwork network, int size)
    {
        var cluster = new TestCluster();
        try
        {
            await FoundAsync(cluster, network, size);
            return cluster;
        }
        catch (Exception e)
        {
            var logs = cluster.Logs();
            await cluster.DisposeAsync();
            throw new InvalidOperationException($"No cluster: {e.Message}\n{logs}", e);
        }
    }

    private static async Task FoundAsync(TestCluster cluster, HostNetwork network, int size)
    {
        for (var id = 1; id <= size; id++)
        {
            cluster.Adopt(await TestServer.CreateAsync(id, place: network.PlaceOf(id)));
        }

        var members = string.Join(
            ',', cluster.Servers.Select(s => $"{s.NodeId}={s.Place.Address}:{RaftPort}"));
        foreach (var server in cluster.Servers)
        {
            await File.AppendAllTextAsync(
                Path.Combine(server.DataDirectory, "pg_hba.conf"), "host all all samenet trust\n");
            server.Settings["pgraft.port"] = RaftPort;
            server.Settings["pgraft.initial_cluster"] = $"'{members}'";
        }

        await Task.WhenAll(cluster.Servers.Select(s => s.StartAsync()));
        await Task.WhenAll(
            cluster.Servers.Select(s => s.ExecuteAsync("CREATE EXTENSION pgraft")));
        await cluster.LeaderAsync();
    }
}
