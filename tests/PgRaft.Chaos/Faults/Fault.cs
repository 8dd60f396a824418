// One thing that goes wrong for a while and is put right again.
//
// Threading: one task drives a fault; two faults may be under way when they have claimed different
// nodes. Failure: what cannot be put right in time throws, which ends the run as a violation.

using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Faults;

/// <summary>What a fault has to do with.</summary>
/// <param name="Cluster">The servers.</param>
/// <param name="Random">The run's; used by one fault at a time, while it chooses.</param>
/// <param name="Findings">For what a fault itself finds wrong.</param>
internal sealed record FaultContext(ChaosCluster Cluster, Random Random, Findings Findings);

internal abstract class Fault(FaultContext context)
{
    private readonly List<ChaosNode> _claimed = [];

    /// <summary>What happens to whom, in a few words; known once it is chosen.</summary>
    public string Description { get; protected set; } = "";

    /// <summary>Whether the network has no room for another fault beside this one.</summary>
    public virtual bool IsOfNetwork => false;

    /// <summary>Whether it can only be put right when nothing else is wrong.</summary>
    public virtual bool NeedsMajority => false;

    protected ChaosCluster Cluster => context.Cluster;

    protected Random Random => context.Random;

    protected Findings Findings => context.Findings;

    /// <summary>Chooses whom it hits; false when there is nobody it could hit now.</summary>
    public abstract bool TryChoose();

    public abstract Task InjectAsync();

    /// <summary>Puts it right; returns when the nodes it hit are running members again.</summary>
    public abstract Task HealAsync();

    /// <summary>Lets go of the nodes it hit.</summary>
    public void Release()
    {
        foreach (var node in _claimed)
        {
            node.Claimed = false;
        }

        _claimed.Clear();
    }

    protected void Claim(params IEnumerable<ChaosNode> nodes)
    {
        foreach (var node in nodes)
        {
            node.Claimed = true;
            _claimed.Add(node);
        }
    }

    /// <summary>A node that no other fault has, by chance; the leader as often as all others
    /// together. Null when there is none that fits.</summary>
    protected ChaosNode? ChooseNode(Func<ChaosNode, bool>? fits = null)
    {
        var free = Cluster.Nodes.Where(n => !n.Claimed && fits?.Invoke(n) != false).ToArray();
        var leader = free.FirstOrDefault(n => n == Cluster.Leader);
        return free.Length == 0 ? null
            : leader is not null && Random.Next(2) == 0 ? leader
            : free[Random.Next(free.Length)];
    }

    protected string Show(ChaosNode node)
    {
        return node == Cluster.Leader ? $"{node.Name} (leader)" : node.Name;
    }
}
