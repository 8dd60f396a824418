// Network namespaces for the servers, joined by a bridge to the machine's own, where the clients
// are: so that rules of the packet filter in a server's namespace cut it off from other servers
// and from nobody else.
//
// Threading: made and removed by one task. Failure: where namespaces are not permitted, making
// them says why; what was made is removed at the end of the process, and what a killed run left
// behind by the next one.

using System.Globalization;
using System.Net;
using PgRaft.Harness;

namespace PgRaft.Chaos.Network;

internal sealed class NodeNetwork : IDisposable
{
    private const string Prefix = "pgraft-chaos-";
    private const int FirstHost = 10;
    private const int HostsOwn = 1;

    private readonly int _pid;
    private readonly int _subnet;
    private readonly List<string> _namespaces = [];

    private NodeNetwork(int pid, int subnet)
    {
        _pid = pid;
        _subnet = subnet;
    }

    /// <summary>The address of this process on the servers' network.</summary>
    public IPAddress OwnAddress => IPAddress.Parse(AddressOf(HostsOwn));

    private string Bridge => Name($"pgrb{_pid}");

    /// <summary>A network for so many nodes, or the reason why there is none.</summary>
    public static async Task<(NodeNetwork? Network, string Reason)> TryCreateAsync(int nodes)
    {
        if (!TestRun.IsRoot)
        {
            return (null, "network namespaces need root");
        }

        NodeNetwork? network = null;
        try
        {
            await Leftovers.RemoveAsync(Prefix);
            network = new NodeNetwork(Environment.ProcessId, await FreeSubnetAsync());
            TestRun.AtEnd(network.Dispose);
            await network.CreateAsync(nodes);
            return (network, "");
        }
        catch (Exception e) when (e is InvalidOperationException
            or System.ComponentModel.Win32Exception)
        {
            network?.Dispose();
            return (null, $"network namespaces cannot be made here: {e.Message.Trim()}");
        }
    }

    /// <summary>Where the server of a slot (0, 1, …) lives.</summary>
    public ServerPlace PlaceOf(int slot)
    {
        return new ServerPlace(AddressOf(FirstHost + slot), _namespaces[slot]);
    }

    /// <summary>Replaces the rules of a slot's packet filter.</summary>
    public async Task SetRulesAsync(int slot, string rules)
    {
        var file = Path.Combine(TestRun.Directory, Name($"rules{slot}"));
        await File.WriteAllTextAsync(file, rules);
        await Command.RunAsync(
            "nsenter",
            $"--net={ServerPlace.FileOf(_namespaces[slot])}", "iptables-restore", "-w", file);
    }

    private static string Name(FormattableString text)
    {
        return FormattableString.Invariant(text);
    }

    // Of 10.213.0.0/16, one that no interface has; several runs may go on at once.
    private static async Task<int> FreeSubnetAsync()
    {
        var routes = await Command.RunAsync("ip", "-4", "route");
        return Enumerable.Range(0, 250)
            .Select(i => (Environment.ProcessId + i) % 250)
            .First(s => !routes.Contains($"10.213.{s}.", StringComparison.Ordinal));
    }

    private string AddressOf(int host)
    {
        return Name($"10.213.{_subnet}.{host}");
    }

    private async Task CreateAsync(int nodes)
    {
        await Command.RunAsync("ip", "link", "add", Bridge, "type", "bridge");
        await Command.RunAsync("ip", "addr", "add", $"{OwnAddress}/24", "dev", Bridge);
        await Command.RunAsync("ip", "link", "set", Bridge, "up");
        for (var slot = 0; slot < nodes; slot++)
        {
            await AddNodeAsync(slot);
        }
    }

    private async Task AddNodeAsync(int slot)
    {
        var name = Name($"{Prefix}{_pid}-{slot}");
        var outside = OutsideOf(slot);
        await Command.RunAsync("ip", "netns", "add", name);
        _namespaces.Add(name);
        await Command.RunAsync(
            "ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name);
        await Command.RunAsync("ip", "link", "set", outside, "master", Bridge, "up");
        var address = $"{AddressOf(FirstHost + slot)}/24";
        await Command.RunAsync("ip", "-n", name, "addr", "add", address, "dev", "eth0");
        await Command.RunAsync("ip", "-n", name, "link", "set", "eth0", "up");
        await Command.RunAsync("ip", "-n", name, "link", "set", "lo", "up");
        await SetRulesAsync(slot, "*filter\nCOMMIT\n*nat\nCOMMIT\n");
    }

    private string OutsideOf(int slot)
    {
        return string.Create(CultureInfo.InvariantCulture, $"pgrv{_pid}-{slot}");
    }

    /// <summary>Removes it; its servers must have been stopped. Also at the end of the process,
    /// where nothing can be awaited.</summary>
    public void Dispose()
    {
        for (var slot = 0; slot < _namespaces.Count; slot++)
        {
            Run("ip", "link", "del", OutsideOf(slot));
            Run("ip", "netns", "del", _namespaces[slot]);
        }

        Run("ip", "link", "del", Bridge);
        _namespaces.Clear();
    }

    private static void Run(string program, params string[] arguments)
    {
        Command.TryRunAsync(program, arguments).GetAwaiter().GetResult();
    }
}
