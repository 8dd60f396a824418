// Hosts for servers: network namespaces, each with an address of its own, on one bridge that the
// machine's own namespace is on as well, so that tests can reach them. Commands run "on" a host see
// only its network: rules of the packet filter and queues there touch nobody else.
//
// The network device of a host is called sda, because that is what the operations guide's command
// for a slow follower names.
//
// Threading: one test. Failure: where namespaces are not permitted the test is skipped and says
// why. Disposing removes everything; the servers must have been stopped before.

using System.Globalization;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class HostNetwork : IAsyncDisposable
{
    /// <summary>The network device of each host.</summary>
    public const string Device = "sda";

    private const int Subnets = 250;

    private readonly List<string> _hosts = [];
    private readonly string _subnet;
    private readonly string _bridge;

    private HostNetwork(string subnet)
    {
        _subnet = subnet;
        _bridge = Name($"pgrt{Environment.ProcessId}");
    }

    /// <summary>Makes so many hosts; the first has the address that ends with 11.</summary>
    /// <param name="hosts">How many.</param>
    /// <param name="subnet">Three numbers of their addresses, with the dots; the test is skipped
    /// where the machine has them already. Null is one that is free.</param>
    public static async Task<HostNetwork> CreateAsync(int hosts, string? subnet = null)
    {
        Assert.SkipUnless(TestRun.IsRoot, "needs root to make network namespaces");
        var routes = await Command.RunAsync("ip", "-4", "route");
        Assert.SkipWhen(
            subnet is not null && routes.Contains(subnet, StringComparison.Ordinal),
            $"this machine is in the network {subnet}0/24 itself");
        var network = new HostNetwork(subnet ?? FreeSubnet(routes));
        try
        {
            await network.AddBridgeAsync();
            for (var number = 1; number <= hosts; number++)
            {
                await network.AddHostAsync(number);
            }

            return network;
        }
        catch (InvalidOperationException e)
        {
            await network.DisposeAsync();
            Assert.Skip($"cannot make network namespaces here: {e.Message}");
            throw;
        }
    }

    /// <summary>The place of a server, by its node id.</summary>
    public ServerPlace PlaceOf(int nodeId)
    {
        return new ServerPlace(AddressOf(nodeId), _hosts[nodeId - 1]);
    }

    /// <summary>Runs shell commands on a host; what they print.</summary>
    public Task<string> RunOnAsync(int nodeId, string commands)
    {
        return Command.RunAsync(
            "ip", "netns", "exec", _hosts[nodeId - 1], "sh", "-e", "-c", commands);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts)
        {
            await Command.TryRunAsync("ip", "link", "del", OutsideOf(host));
            await Command.TryRunAsync("ip", "netns", "del", host);
        }

        await Command.TryRunAsync("ip", "link", "del", _bridge);
    }

    private static string Name(FormattableString text)
    {
        return FormattableString.Invariant(text);
    }

    // Of 10.214.0.0/16, one that no interface has: other runs may go on.
    private static string FreeSubnet(string routes)
    {
        return Enumerable.Range(0, Subnets)
            .Select(i => Name($"10.214.{(Environment.ProcessId + i) % Subnets}."))
            .First(subnet => !routes.Contains(subnet, StringComparison.Ordinal));
    }

    private string AddressOf(int nodeId)
    {
        return Name($"{_subnet}{nodeId + 10}");
    }

    private string OutsideOf(string host)
    {
        return Name($"{_bridge}-{_hosts.IndexOf(host)}");
    }

    private async Task AddBridgeAsync()
    {
        await Command.RunAsync("ip", "link", "add", _bridge, "type", "bridge");
        await Command.RunAsync("ip", "addr", "add", $"{_subnet}1/24", "dev", _bridge);
        await Command.RunAsync("ip", "link", "set", _bridge, "up");
    }

    private async Task AddHostAsync(int number)
    {
        var host = string.Create(CultureInfo.InvariantCulture, $"{_bridge}-host{number}");
        await Command.RunAsync("ip", "netns", "add", host);
        _hosts.Add(host);
        await Command.RunAsync(
            "ip", "link", "add", OutsideOf(host), "type", "veth",
            "peer", "name", Device, "netns", host);
        await Command.RunAsync("ip", "link", "set", OutsideOf(host), "master", _bridge, "up");
        await RunOnAsync(
            number,
            $"ip addr add {AddressOf(number)}/24 dev {Device}; ip link set {Device} up;"
            + "ip link set lo up");
    }
}
