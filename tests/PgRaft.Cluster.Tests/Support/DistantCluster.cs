// A cluster whose members are far from each other: what peers send each other goes through
// delaying, losing proxies, both ways of each connection. Clients are where their server is.
//
// A server listens at 127.0.0.1, and is a member at another loopback address, where its proxy
// listens at the same port and sends everything on. Linux has all of 127.0.0.0/8; no root needed.
//
// Threading: one test; the proxies' tasks are their own. Failure: servers that do not start throw,
// and take the proxies with them.

using System.Globalization;
using System.Net;
using PgRaft.Chaos.Network;

namespace PgRaft.Cluster.Tests.Support;

/// <param name="OneWay">From one member to another.</param>
/// <param name="Loss">Probability of losing one segment.</param>
/// <param name="ElectionTimeoutMs">The members' setting.</param>
internal sealed record Distance(TimeSpan OneWay, double Loss, int ElectionTimeoutMs)
{
    public TimeSpan RoundTrip => OneWay * 2;
}

internal sealed class DistantCluster : IAsyncDisposable
{
    private const int Size = 3;
    private static readonly IPAddress Outside = IPAddress.Parse("127.0.0.2");

    private readonly List<DelayProxy> _proxies = [];
    private readonly SegmentLoss _loss;

    private DistantCluster(Distance distance)
    {
        _loss = new SegmentLoss(distance.Loss, distance.RoundTrip);
    }

    public TestCluster Cluster { get; } = new();

    /// <summary>Segments lost so far.</summary>
    public int Lost => _loss.Lost;

    /// <summary>Makes three servers so far from each other and founds a cluster of them.</summary>
    public static async Task<DistantCluster> StartAsync(
        Distance distance, Action<TestServer> configure)
    {
        var distant = new DistantCluster(distance);
        try
        {
            await distant.FoundAsync(distance, configure);
            return distant;
        }
        catch (Exception e)
        {
            var logs = distant.Cluster.Logs();
            await distant.DisposeAsync();
            throw new InvalidOperationException(
                $"The cluster cannot be founded: {e.Message}\n{logs}", e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        foreach (var proxy in _proxies)
        {
            await proxy.DisposeAsync();
        }
    }

    private async Task FoundAsync(Distance distance, Action<TestServer> configure)
    {
        for (var id = 1; id <= Size; id++)
        {
            var server = await TestServer.CreateAsync(id);
            Cluster.Adopt(server);
            _proxies.Add(ProxyTo(server, distance));
        }

        var members = string.Join(',', Cluster.Servers.Select(s => string.Create(
            CultureInfo.InvariantCulture, $"{s.NodeId}={Outside}:{s.RaftPort}")));
        foreach (var server in Cluster.Servers)
        {
            server.Settings["pgraft.address"] = $"'{Outside}'";
            server.Settings["pgraft.listen_address"] = "'127.0.0.1'";
            server.Settings["pgraft.initial_cluster"] = $"'{members}'";
            server.Settings["pgraft.election_timeout"] = string.Create(
                CultureInfo.InvariantCulture, $"{distance.ElectionTimeoutMs}");
            configure(server);
        }

        await Task.WhenAll(Cluster.Servers.Select(s => s.StartAsync()));
        await Task.WhenAll(
            Cluster.Servers.Select(s => s.ExecuteAsync("CREATE EXTENSION pgraft")));
        await Cluster.LeaderAsync(TimeSpan.FromSeconds(60));
    }

    private DelayProxy ProxyTo(TestServer server, Distance distance)
    {
        var way = new DelayRange(distance.OneWay, distance.OneWay)
        {
            Connecting = distance.RoundTrip,
            Loss = _loss,
        };
        return new DelayProxy(
            new IPEndPoint(Outside, server.RaftPort),
            new IPEndPoint(IPAddress.Loopback, server.RaftPort),
            way);
    }
}
