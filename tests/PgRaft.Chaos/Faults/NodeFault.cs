// Base of the faults that hit one server. Threading and failure: as the base class.

using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Faults;

internal abstract class NodeFault(FaultContext context) : Fault(context)
{
    private ChaosNode? _node;

    protected ChaosNode Node => _node ?? throw new InvalidOperationException("Nobody is chosen.");

    public override bool TryChoose()
    {
        _node = ChooseNode(Fits);
        if (_node is null)
        {
            return false;
        }

        Description = Show(_node);
        Claim(_node);
        return true;
    }

    protected virtual bool Fits(ChaosNode node)
    {
        return true;
    }
}
