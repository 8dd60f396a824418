// One place in the cluster: a server that is stopped, killed, frozen, wiped and brought back as
// another node, and what is known of its state.
//
// Threading: the fault that has claimed the node changes it; Claimed may be read by any. Failure:
// what does not happen in time throws with what was awaited.

using System.Globalization;
using PgRaft.Harness;

namespace PgRaft.Chaos.Nodes;

internal sealed class ChaosNode
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(90);

    private volatile bool _claimed;

    public ChaosNode(int slot, TestServer server, FillableDisk? disk, Preload? preload)
    {
        Slot = slot;
        Server = server;
        Disk = disk;
        Preload = preload;
        DataDirectory = disk is null
            ? server.PgraftDirectory
            : Path.Combine(disk.Path, "pgraft");
        server.Settings["pgraft.data_dir"] = $"'{DataDirectory}'";
    }

    /// <summary>Number of the place, from 0; the node's id changes, this does not.</summary>
    public int Slot { get; }

    public TestServer Server { get; }

    public FillableDisk? Disk { get; }

    /// <summary>What can make its disk hang; null where there is no compiler for it.</summary>
    public Preload? Preload { get; }

    /// <summary>pgraft.data_dir.</summary>
    public string DataDirectory { get; }

    /// <summary>Whether a fault has taken hold of the server, from before it is injected until it
    /// is healed.</summary>
    public bool Claimed
    {
        get => _claimed;
        set => _claimed = value;
    }

    public string Name => string.Create(CultureInfo.InvariantCulture, $"node {Server.NodeId}");

    /// <summary>Starts the server; a shared memory block of dying processes may be in its way for
    /// a moment.</summary>
    public Task StartAsync()
    {
        return Poll.UntilAsync(
            $"the server of {Name} starts",
            () => Server.TryStartAsync(),
            result => result.Status == 0,
            StartLimit);
    }

    /// <summary>Waits until the worker is a running member.</summary>
    public Task RunningAsync()
    {
        return Server.WaitForStateAsync("RUNNING", StartLimit);
    }

    /// <summary>Sends SIGSTOP to every process of the server, or to the worker alone; returns the
    /// processes.</summary>
    public async Task<IReadOnlyList<int>> FreezeAsync(bool workerOnly)
    {
        if (workerOnly)
        {
            int[] worker = [Server.WorkerPid];
            await SignalAsync("-STOP", worker);
            return worker;
        }

        // The postmaster first, so that it makes no child that goes on.
        await SignalAsync("-STOP", [Server.Postmaster]);
        var children = ServerProcesses.ChildrenOf(Server.Postmaster);
        await SignalAsync("-STOP", children);
        return [Server.Postmaster, .. children];
    }

    /// <summary>Thaws what was frozen; a process that is gone meanwhile is left out.</summary>
    public static Task ThawAsync(IReadOnlyList<int> frozen)
    {
        return SignalAsync("-CONT", frozen);
    }

    /// <summary>Deletes the member's memory, as an operator would before adding it anew.</summary>
    public void Wipe()
    {
        Directory.Delete(DataDirectory, recursive: true);
    }

    private static Task SignalAsync(string signal, IEnumerable<int> pids)
    {
        string[] arguments = [signal, .. pids.Where(pid => pid > 0)
            .Select(pid => pid.ToString(CultureInfo.InvariantCulture))];
        return arguments.Length > 1
            ? Command.TryRunAsync("kill", arguments)
            : Task.CompletedTask;
    }
}
