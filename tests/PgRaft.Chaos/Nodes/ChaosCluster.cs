// The servers of a run, the network between them, and what the run as a whole knows of them: who
// leads, whether a majority is untouched by faults, whether all is well again.
//
// Threading: faults change it one at a time, or two that have claimed different nodes; anything
// may be read by any task. Failure: what is demanded and does not happen in time throws.

using System.Globalization;
using System.Net;
using PgRaft.Chaos.Network;
using PgRaft.Harness;

namespace PgRaft.Chaos.Nodes;

internal sealed class ChaosCluster : IAsyncDisposable
{
    private static readonly TimeSpan ProgressLimit = TimeSpan.FromSeconds(45);

    private readonly TestCluster _servers;
    private int _lastNodeId;
    private int _leaderSlot = -1;

    private ChaosCluster(TestCluster servers, IReadOnlyList<ChaosNode> nodes, Links? links)
    {
        _servers = servers;
        Nodes = nodes;
        Links = links;
        _lastNodeId = nodes.Count;
    }

    public IReadOnlyList<ChaosNode> Nodes { get; }

    /// <summary>The network between the servers; null where it cannot be cut.</summary>
    public Links? Links { get; }

    public int Majority => (Nodes.Count / 2) + 1;

    /// <summary>The node that last showed the leader lease; null before the first.</summary>
    public ChaosNode? Leader => Volatile.Read(ref _leaderSlot) is var slot and >= 0
        ? Nodes[slot]
        : null;

    /// <summary>Makes the servers, each on its place in the network, and founds the cluster.
    /// </summary>
    public static async Task<ChaosCluster> StartAsync(int size, NodeNetwork? network, Random random)
    {
        var servers = new TestCluster();
        try
        {
            var nodes = new List<ChaosNode>();
            for (var slot = 0; slot < size; slot++)
            {
                nodes.Add(await MakeNodeAsync(slot, network, random));
                servers.Adopt(nodes[slot].Server);
            }

            var cluster = new ChaosCluster(servers, nodes, LinksOf(nodes, network));
            await cluster.FoundAsync();
            return cluster;
        }
        catch
        {
            await servers.DisposeAsync();
            throw;
        }
    }

    public void NoteLeader(int slot)
    {
        Volatile.Write(ref _leaderSlot, slot);
    }

    /// <summary>A node id that no node has had.</summary>
    public int NewNodeId()
    {
        return Interlocked.Increment(ref _lastNodeId);
    }

    /// <summary>Whether a majority is untouched by faults and connected both ways, each with each.
    /// </summary>
    public bool MajorityIsHealthy()
    {
        var healthy = Nodes.Where(n => !n.Claimed).Select(n => n.Slot).ToArray();
        var cut = Links?.Cut ?? [];
        return LargestClique(healthy, cut) >= Majority;
    }

    /// <summary>Demands that every member runs, all know one leader, and each takes a write.
    /// </summary>
    public async Task RequireProgressAsync()
    {
        await Task.WhenAll(Nodes.Select(n => n.RunningAsync()));
        await _servers.LeaderAsync(ProgressLimit);
        foreach (var node in Nodes)
        {
            await TestCluster.FirstWriteAsync(node.Server, "progress", ProgressLimit);
        }
    }

    /// <summary>Demands equal states of all members; returns the index they have applied. Nobody
    /// may be writing.</summary>
    public async Task<long> RequireAgreementAsync()
    {
        var state = await _servers.AgreedStateAsync();
        return long.Parse(state.Split(' ')[0], CultureInfo.InvariantCulture);
    }

    public string Logs()
    {
        return _servers.Logs();
    }

    public ValueTask DisposeAsync()
    {
        return _servers.DisposeAsync();
    }

    // Of few nodes, so every subset is tried.
    internal static int LargestClique(int[] slots, IReadOnlyCollection<Link> cut)
    {
        var best = 0;
        for (var set = 0; set < 1 << slots.Length; set++)
        {
            int[] members = [.. slots.Where((_, i) => (set >> i & 1) == 1)];
            var whole = !cut.Any(l => members.Contains(l.From) && members.Contains(l.To));
            best = whole ? Math.Max(best, members.Length) : best;
        }

        return best;
    }

    private static async Task<ChaosNode> MakeNodeAsync(
        int slot, NodeNetwork? network, Random random)
    {
        var place = network?.PlaceOf(slot) ?? ServerPlace.Loopback;
        var server = await TestServer.CreateAsync(slot + 1, place: place);
        var small = slot == 0 || random.Next(2) == 0;
        var disk = small && TestRun.IsRoot ? await FillableDisk.TryMountAsync() : null;
        var preload = await Preload.TryCreateAsync();
        server.BinDirectory = preload?.BinDirectory ?? server.BinDirectory;
        await OpenToClientsAsync(server);

        // Small enough that members are brought up to date by snapshots too.
        server.Settings["pgraft.snapshot_interval"] = "2000";
        server.Settings["pgraft.max_log_entries"] = "500";
        return new ChaosNode(slot, server, disk, preload);
    }

    // Clients come from the bridge, for which initdb has made no rule.
    private static Task OpenToClientsAsync(TestServer server)
    {
        return File.AppendAllTextAsync(
            Path.Combine(server.DataDirectory, "pg_hba.conf"), "host all all samenet trust\n");
    }

    private static Links? LinksOf(IReadOnlyList<ChaosNode> nodes, NodeNetwork? network)
    {
        return network is null
            ? null
            : new Links(network, [.. nodes.Select(n => new IPEndPoint(
                IPAddress.Parse(n.Server.Place.Address), n.Server.RaftPort))]);
    }

    private async Task FoundAsync()
    {
        var members = string.Join(',', Nodes.Select(n => string.Create(
            CultureInfo.InvariantCulture,
            $"{n.Server.NodeId}={n.Server.Place.Address}:{n.Server.RaftPort}")));
        foreach (var node in Nodes)
        {
            node.Server.Settings["pgraft.initial_cluster"] = $"'{members}'";
        }

        await Task.WhenAll(Nodes.Select(n => n.Server.StartAsync()));
        await Task.WhenAll(Nodes.Select(n => n.Server.ExecuteAsync("CREATE EXTENSION pgraft")));
        await RequireProgressAsync();
    }
}
