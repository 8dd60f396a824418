// Which server can reach which: cuts by the packet filter of the receiving server, and delays by
// sending what one server sends to another's Raft port through a proxy. Clients are not concerned.
//
// A delayed link's old connections are reset and new ones are led to the proxy; afterwards the
// proxy's are reset and new ones are direct.
//
// Threading: one task changes it; Cut may be read by any. Failure: a rule that cannot be set
// throws what iptables said.

using System.Globalization;
using System.Net;
using System.Text;

namespace PgRaft.Chaos.Network;

/// <param name="From">Slot of the sender.</param>
/// <param name="To">Slot of the receiver.</param>
internal readonly record struct Link(int From, int To);

internal sealed class Links
{
    private readonly NodeNetwork _network;
    private readonly IReadOnlyList<IPEndPoint> _peers;
    private readonly Dictionary<Link, DelayProxy> _proxies = [];
    private volatile IReadOnlyCollection<Link> _cut = [];

    // The peers are in the order of their slots, with their Raft ports.
    public Links(NodeNetwork network, IReadOnlyList<IPEndPoint> peers)
    {
        _network = network;
        _peers = peers;
    }

    public IReadOnlyCollection<Link> Cut => _cut;

    /// <summary>Drops every packet of these links, and of no others.</summary>
    public Task CutAsync(IReadOnlyCollection<Link> links)
    {
        _cut = links;
        return ApplyAsync();
    }

    /// <summary>Delays these links, and no others.</summary>
    public async Task DelayAsync(IReadOnlyCollection<Link> links, DelayRange delay)
    {
        foreach (var link in links)
        {
            _proxies[link] = new DelayProxy(_network.OwnAddress, _peers[link.To], delay);
        }

        await ApplyAsync();
    }

    public async Task HealAsync()
    {
        var old = _proxies.Values.ToArray();
        _proxies.Clear();
        _cut = [];
        await ApplyAsync();
        foreach (var proxy in old)
        {
            await proxy.DisposeAsync();
        }
    }

    private Task ApplyAsync()
    {
        return Task.WhenAll(Enumerable.Range(0, _peers.Count)
            .Select(slot => _network.SetRulesAsync(slot, RulesOf(slot))));
    }

    private string RulesOf(int slot)
    {
        var nat = new StringBuilder("*nat\n");
        var filter = new StringBuilder("*filter\n");
        foreach (var (link, proxy) in _proxies.Where(p => p.Key.From == slot))
        {
            var peer = _peers[link.To];
            var to = string.Create(
                CultureInfo.InvariantCulture, $"-p tcp -d {peer.Address} --dport {peer.Port}");
            nat.Append(
                CultureInfo.InvariantCulture,
                $"-A OUTPUT {to} -j DNAT --to-destination {_network.OwnAddress}:{proxy.Port}\n");
            filter.Append(
                CultureInfo.InvariantCulture,
                $"-A OUTPUT {to} -j REJECT --reject-with tcp-reset\n");
        }

        foreach (var link in _cut.Where(l => l.To == slot))
        {
            filter.Append(
                CultureInfo.InvariantCulture, $"-A INPUT -s {_peers[link.From].Address} -j DROP\n");
        }

        return $"{nat}COMMIT\n{filter}COMMIT\n";
    }
}
