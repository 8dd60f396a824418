// A member is removed while clients are at work, and its server comes back, empty, as another
// node. Threading and failure: as the base class.

using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Faults;

internal sealed class ReplacedMember(FaultContext context) : NodeFault(context)
{
    private Rejoin? _rejoin;
    private Task _removal = Task.CompletedTask;

    public override bool NeedsMajority => true;

    // Another fault may have taken the majority away: then this one is under way until that one is
    // healed.
    public override Task InjectAsync()
    {
        _rejoin = new Rejoin(Cluster, Node);
        _removal = _rejoin.RemoveAsync();
        return Task.CompletedTask;
    }

    public override async Task HealAsync()
    {
        await _removal;
        await _rejoin!.ComeBackAsync();
    }
}
