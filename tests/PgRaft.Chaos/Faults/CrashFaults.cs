// Faults that end processes: of a worker, a server, all servers; and an orderly stop of the
// leader, which hands over first. Threading and failure: as the base class.

using PgRaft.Chaos.Nodes;
using PgRaft.Harness;

namespace PgRaft.Chaos.Faults;

/// <summary>SIGKILL of the worker: PostgreSQL then restarts all its processes.</summary>
internal sealed class KilledWorker(FaultContext context) : NodeFault(context)
{
    public override async Task InjectAsync()
    {
        var worker = Node.Server.WorkerPid;
        ServerProcesses.Kill(worker);
        await Poll.UntilAsync(
            $"another worker of {Node.Name}",
            () => Node.Server.WorkerPid is var pid && pid != 0 && pid != worker,
            TimeSpan.FromSeconds(60));
    }

    public override Task HealAsync()
    {
        return Node.RunningAsync();
    }
}

/// <summary>SIGKILL of every process of a server.</summary>
internal sealed class KilledServer(FaultContext context) : NodeFault(context)
{
    public override Task InjectAsync()
    {
        return Node.Server.KillAsync();
    }

    public override async Task HealAsync()
    {
        await Node.StartAsync();
        await Node.RunningAsync();
    }
}

/// <summary>An orderly stop of the leader's server.</summary>
internal sealed class StoppedLeader(FaultContext context) : NodeFault(context)
{
    public override Task InjectAsync()
    {
        return Node.Server.StopAsync();
    }

    public override async Task HealAsync()
    {
        await Node.StartAsync();
        await Node.RunningAsync();
    }

    protected override bool Fits(ChaosNode node)
    {
        return node == Cluster.Leader;
    }
}

/// <summary>SIGKILL of every process of every server at once.</summary>
internal sealed class KilledCluster(FaultContext context) : Fault(context)
{
    public override bool TryChoose()
    {
        if (Cluster.Nodes.Any(n => n.Claimed))
        {
            return false;
        }

        Claim(Cluster.Nodes);
        Description = "all servers";
        return true;
    }

    public override Task InjectAsync()
    {
        return Task.WhenAll(Cluster.Nodes.Select(n => n.Server.KillAsync()));
    }

    public override async Task HealAsync()
    {
        await Task.WhenAll(Cluster.Nodes.Select(n => n.StartAsync()));
        await Task.WhenAll(Cluster.Nodes.Select(n => n.RunningAsync()));
    }
}
