// One member of a fault run with its disk and clock: it crashes, loses power, loses a sync, is
// paused, and starts again.
// Threading: one fault at a time (_turn). Failure: why a node ended is looked at: injected faults
// may end it, anything else is a violation.
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Tests.Storage;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class RunMember(
    TestNode node, FaultyNetwork network, ClusterInvariants invariants,
    Action<SimulatedDisk> sabotage)
    : IDisposable
{
    /// <summary>What a violation begins with when a node refused what is on its disk.</summary>
    public const string DoesNotStart = "a node does not start";

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly ManualResetEventSlim _running = new(true);
    private bool _mayFail;

    public TestNode Node => node;

    public int NodeId => node.Address.NodeId;

    /// <summary>Removed from the cluster: it is not started again.</summary>
    public bool Retired { get; set; }

    private SimulatedDisk Disk => (SimulatedDisk)node.Io;

    /// <summary>Whether its process is there and well.</summary>
    public bool IsWell => node.IsUp && !Disk.IsOff && !HasFailed;

    private bool HasFailed => node.IsUp && node.Node.Failure.IsCompleted;

    /// <summary>Starts it on what its disk has.</summary>
    public async Task StartAsync()
    {
        // Nobody could thaw it while it is waited for.
        _running.Set();
        await _turn.WaitAsync();
        try
        {
            if (!node.IsUp && !Retired)
            {
                Prepare();
                await node.StartAsync(TestCluster.Limit);
            }
        }
        catch (Exception) when (_mayFail)
        {
            // A fault of its disk hit it while it started.
        }
        catch (Exception e)
        {
            invariants.Broken($"{DoesNotStart}: node {NodeId}: {e}");
            throw;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Puts its faults into its disk.</summary>
    public void Prepare()
    {
        sabotage(Disk);
        Disarm();
        Disk.HoldSyncs = _running;
        _mayFail = false;
    }

    /// <summary>Faults that have not come yet will not.</summary>
    public void Disarm()
    {
        Disk.PowerOffAtStep = 0;
        Disk.FailSync = 0;
    }

    /// <summary>An orderly stop, with a handover before it.</summary>
    public Task StopAsync() => EndAsync(() => { }, inOrder: true);

    /// <summary>Power failure: what was not synced is gone, or part of it.</summary>
    public async Task CrashAsync(Survival survival, Random random)
    {
        _mayFail = true;
        Disk.PowerOff();
        network.Disconnect(NodeId);
        await EndAsync(() => node.Io = Disk.Reboot(survival, random));
    }

    /// <summary>The power goes in some operations of the disk, whichever they are.</summary>
    public void CrashSoon(int steps)
    {
        _mayFail = true;
        Disk.PowerOffAtStep = Disk.Steps + steps;

        // It may be starting meanwhile, which begins with a clean slate.
        _mayFail = true;
    }

    /// <summary>A sync fails soon: the node must end.</summary>
    public void FailSyncSoon(int syncs)
    {
        _mayFail = true;
        Disk.FailSyncSoon(syncs);
        _mayFail = true;
    }

    public void SlowDown(TimeSpan latency) => Disk.SyncLatency = latency;

    /// <summary>Its disk stands still; the network is the caller's to cut.</summary>
    public void Pause() => _running.Reset();

    public void JumpClock(TimeSpan by) => ((TestClock)node.Clock).Jump(by);

    /// <summary>Disk and clock work again.</summary>
    public void Heal()
    {
        _running.Set();
        Disk.SyncLatency = TimeSpan.Zero;
    }

    /// <summary>Ends what has failed or lost power, as the server around it would; true if it
    /// did.</summary>
    public async Task<bool> BuryAsync(Survival survival, Random random)
    {
        if (!Disk.IsOff && !HasFailed)
        {
            return false;
        }

        if (Disk.IsOff)
        {
            await CrashAsync(survival, random);
        }
        else
        {
            await EndAsync(() => { });
        }

        return true;
    }

    public void Dispose()
    {
        _running.Set();
        _turn.Dispose();
    }

    private async Task EndAsync(Action afterwards, bool inOrder = false)
    {
        _running.Set();
        await _turn.WaitAsync();
        try
        {
            if (node.IsUp)
            {
                await (inOrder ? node.Node.PrepareToStopAsync() : Task.CompletedTask);
                await JudgeFailureAsync();
                await node.StopAsync();
            }

            afterwards();
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task JudgeFailureAsync()
    {
        if (node.Node.Failure is not { IsCompletedSuccessfully: true } failure)
        {
            return;
        }

        var reason = await failure;
        if (!_mayFail || reason.InnerException is InvariantViolatedException)
        {
            invariants.Broken($"node {NodeId} ended: {reason}");
        }
    }
}
