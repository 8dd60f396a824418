// Faults that stop processes and let them go on later, as a paused virtual machine does.
// Threading and failure: as the base class.

using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Faults;

internal abstract class FreezeFault(FaultContext context, bool workerOnly) : NodeFault(context)
{
    private IReadOnlyList<int> _frozen = [];

    public override async Task InjectAsync()
    {
        _frozen = await Node.FreezeAsync(workerOnly);
    }

    public override async Task HealAsync()
    {
        await ChaosNode.ThawAsync(_frozen);
        await Node.RunningAsync();
    }
}

/// <summary>SIGSTOP of every process of a server.</summary>
internal sealed class FrozenServer(FaultContext context) : FreezeFault(context, workerOnly: false);

/// <summary>SIGSTOP of the worker; the server answers, with what it last knew.</summary>
internal sealed class FrozenWorker(FaultContext context) : FreezeFault(context, workerOnly: true);
