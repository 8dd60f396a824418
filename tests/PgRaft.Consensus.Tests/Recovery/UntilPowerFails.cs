// Runs something on a node whose disk may lose power meanwhile.
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;

namespace PgRaft.Consensus.Tests.Recovery;

internal static class UntilPowerFails
{
    /// <summary>Whether it returned; false when the power went.</summary>
    public static async Task<bool> RunAsync(
        TestNode node, SimulatedDisk disk, Func<RaftNode, Task> action)
    {
        var running = action(node.Node);
        try
        {
            await Task.WhenAny(running, node.Node.Failure);
            if (!running.IsCompleted && disk.IsOff)
            {
                // It waits for a leadership that will not come.
                _ = running.ContinueWith(
                    t => t.Exception, CancellationToken.None,
                    TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
                return false;
            }

            await running;
            return true;
        }
        catch (PgraftException) when (disk.IsOff)
        {
            return false;
        }
    }
}
