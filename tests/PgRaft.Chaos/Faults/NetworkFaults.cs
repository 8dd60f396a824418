// Faults of the network between the servers: cuts in the packet filters, delays by proxies.
// Threading and failure: as the base class.

using PgRaft.Chaos.Network;
using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Faults;

internal abstract class NetworkFault(FaultContext context) : Fault(context)
{
    public override bool IsOfNetwork => true;

    protected Links Network => Cluster.Links
        ?? throw new InvalidOperationException("There is no network to cut.");

    protected int Count => Cluster.Nodes.Count;

    /// <summary>A node to be at the centre: the leader every other time.</summary>
    protected ChaosNode AnyNode =>
        Cluster.Leader is { } leader && Random.Next(2) == 0
            ? leader
            : Cluster.Nodes[Random.Next(Count)];

    public override Task HealAsync()
    {
        return Network.HealAsync();
    }

    /// <summary>All links that lead from one side of a division to the other.</summary>
    protected static IEnumerable<Link> Between(
        IReadOnlyCollection<int> a, IReadOnlyCollection<int> b)
    {
        return a.SelectMany(x => b.SelectMany(y => (Link[])[new(x, y), new(y, x)]));
    }

    protected int[] Shuffled()
    {
        var slots = Enumerable.Range(0, Count).ToArray();
        Random.Shuffle(slots);
        return slots;
    }

    protected string Names(IEnumerable<int> slots)
    {
        return string.Join(", ", slots.Select(s => Show(Cluster.Nodes[s])));
    }
}

/// <summary>A minority is cut off from the majority, both ways.</summary>
internal sealed class Partition(FaultContext context) : NetworkFault(context)
{
    private int[] _minority = [];

    public override bool TryChoose()
    {
        _minority = Shuffled()[..Random.Next(1, ((Count - 1) / 2) + 1)];
        Description = $"{Names(_minority)} cut off from the others";
        return true;
    }

    public override Task InjectAsync()
    {
        int[] majority = [.. Enumerable.Range(0, Count).Except(_minority)];
        return Network.CutAsync([.. Between(_minority, majority)]);
    }
}

/// <summary>One node is cut off from all others, both ways; the leader unless there is none.
/// </summary>
internal sealed class IsolatedLeader(FaultContext context) : NetworkFault(context)
{
    private int _slot;

    public override bool TryChoose()
    {
        _slot = Cluster.Leader?.Slot ?? Random.Next(Count);
        Description = $"{Names([_slot])} cut off from all";
        return true;
    }

    public override Task InjectAsync()
    {
        var others = Enumerable.Range(0, Count).Where(s => s != _slot);
        return Network.CutAsync([.. Between([_slot], [.. others])]);
    }
}

/// <summary>What one node sends to some others, or what they send to it, is lost; the other
/// direction is whole.</summary>
internal sealed class OneWayCut(FaultContext context) : NetworkFault(context)
{
    private Link[] _links = [];

    public override bool TryChoose()
    {
        var one = AnyNode.Slot;
        int[] others = [.. Shuffled().Where(s => s != one)];
        others = others[..Random.Next(1, others.Length + 1)];
        var deaf = Random.Next(2) == 0;
        _links = [.. others.Select(o => deaf ? new Link(o, one) : new Link(one, o))];
        Description = deaf
            ? $"{Names([one])} does not hear {Names(others)}"
            : $"{Names([one])} is not heard by {Names(others)}";
        return true;
    }

    public override Task InjectAsync()
    {
        return Network.CutAsync(_links);
    }
}

/// <summary>Two halves that do not reach each other, and one node that reaches both.</summary>
internal sealed class BridgeNode(FaultContext context) : NetworkFault(context)
{
    private Link[] _links = [];

    public override bool TryChoose()
    {
        var bridge = AnyNode.Slot;
        int[] others = [.. Shuffled().Where(s => s != bridge)];
        var half = others.Length / 2;
        _links = [.. Between(others[..half], others[half..])];
        Description = $"{Names(others[..half])} reach {Names(others[half..])} no longer, "
            + $"{Names([bridge])} reaches all";
        return true;
    }

    public override Task InjectAsync()
    {
        return Network.CutAsync(_links);
    }
}

/// <summary>Everything to and from one node is late, by less or more than an election timeout.
/// </summary>
internal sealed class SlowNode(FaultContext context) : NetworkFault(context)
{
    private ChaosNode? _node;
    private DelayRange _delay;

    public override bool TryChoose()
    {
        _node = ChooseNode();
        if (_node is null)
        {
            return false;
        }

        Claim(_node);
        var shortest = TimeSpan.FromMilliseconds(20 << Random.Next(6));
        _delay = new DelayRange(shortest, shortest * 2);
        Description = $"{Show(_node)} is {shortest.TotalMilliseconds} to "
            + $"{shortest.TotalMilliseconds * 2} ms away";
        return true;
    }

    public override Task InjectAsync()
    {
        var slot = _node!.Slot;
        return Network.DelayAsync(
            [.. Between([slot], [.. Enumerable.Range(0, Count).Where(s => s != slot)])], _delay);
    }
}

/// <summary>Everything between all nodes is late, by a fraction of an election timeout.</summary>
internal sealed class SlowNetwork(FaultContext context) : NetworkFault(context)
{
    private DelayRange _delay;

    public override bool TryChoose()
    {
        var longest = TimeSpan.FromMilliseconds(Random.Next(5, 60));
        _delay = new DelayRange(TimeSpan.Zero, longest);
        Description = $"all are up to {longest.TotalMilliseconds} ms away from each other";
        return true;
    }

    public override Task InjectAsync()
    {
        var links = Enumerable.Range(0, Count)
            .SelectMany(a => Enumerable.Range(0, Count).Select(b => new Link(a, b)))
            .Where(l => l.From != l.To);
        return Network.DelayAsync([.. links], _delay);
    }
}
