// Faults that stop processes and let them go on later, as a paused virtual machine does; and a
// full disk. Threading and failure: as the base class.

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

/// <summary>The file system of a member's data_dir runs full.</summary>
internal sealed class FullDisk(FaultContext context) : NodeFault(context)
{
    public override Task InjectAsync()
    {
        Node.Disk!.Fill();
        return Task.CompletedTask;
    }

    // A worker that has ended for want of room is started again within a minute; a reload, as the
    // manual says, has it try at once.
    public override async Task HealAsync()
    {
        Node.Disk!.Free();
        await Node.Server.ReloadAsync();
        await Node.RunningAsync();
    }

    protected override bool Fits(ChaosNode node)
    {
        return node.Disk is not null;
    }
}
