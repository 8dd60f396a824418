// One member of a fault run with its disk and clock: it crashes, loses power, loses a sync, hangs,
// and starts again.
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

    // Faults come from another thread while a member starts: a fault and that it may end the member
    // are one.
    private readonly Lock _arming = new();
    private bool _mayFail;

    public TestNode Node => node;

    public int NodeId => node.Address.NodeId;

    /// <summary>Removed from the cluster: it is not started again.</summary>
    public bool Retired { get; set; }

    private SimulatedDisk Disk => (SimulatedDisk)node.Io;

    /// <summary>Whether its disk has lost power.</summary>
    public bool IsOff => Disk.IsOff;

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

    /// <summary>It is to come back with nothing; it must not run.</summary>
    public void LoseDisk()
    {
        node.InitialCluster = [];
        node.Io = new SimulatedDisk();
        invariants.Forget(NodeId);
    }

    /// <summary>Puts its faults into its disk.</summary>
    public void Prepare()
    {
        sabotage(Disk);
        Disk.HoldSyncs = _running;
        lock (_arming)
        {
            Disarm();

            // The power may have gone already.
            _mayFail = Disk.IsOff;
        }
    }

    /// <summary>Faults that have not come yet will not.</summary>
    public void Disarm()
    {
        Disk.PowerOffAfterLag = false;
        Disk.PowerOffAtStep = 0;
        Disk.FailSync = 0;
    }

    /// <summary>An orderly stop, with a handover before it.</summary>
    public Task StopAsync() => EndAsync(_ => { }, inOrder: true);

    /// <summary>The power goes; <see cref="CrashAsync"/> must follow.</summary>
    public void CutPower()
    {
        lock (_arming)
        {
            _mayFail = true;
            Disk.PowerOff();
        }

        network.Disconnect(NodeId);
    }

    /// <summary>Power failure: what was not synced is gone, or part of it.</summary>
    public async Task CrashAsync(Survival survival, Random random)
    {
        CutPower();
        await EndAsync(promised =>
        {
            node.Io = Disk.Reboot(survival, random);
            if (promised is { } vote)
            {
                var onDisk = ClusterWatcher.VoteOnDisk(node) ?? default;
                invariants.Remembers(NodeId, vote, onDisk);
            }
        });
    }

    /// <summary>The power goes in some operations of the disk, whichever they are.</summary>
    public void CrashSoon(int steps)
    {
        lock (_arming)
        {
            _mayFail = true;
            Disk.PowerOffAtStep = Disk.Steps + steps;
        }
    }

    /// <summary>The power goes soon after a term or vote was saved; only on a disk that lags.
    /// </summary>
    public void CrashAfterSavedTerm()
    {
        lock (_arming)
        {
            _mayFail = true;
            Disk.PowerOffAfterLag = true;
        }
    }

    /// <summary>A sync fails soon: the node must end.</summary>
    public void FailSyncSoon(int syncs)
    {
        lock (_arming)
        {
            _mayFail = true;
            Disk.FailSyncSoon(syncs);
        }
    }

    public void SlowDown(TimeSpan latency) => Disk.SyncLatency = latency;

    /// <summary>Its disk hangs: syncs do not return until it is healed. The network is the
    /// caller's.</summary>
    public void HangDisk() => _running.Reset();

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
            await EndAsync(_ => { });
        }

        return true;
    }

    public void Dispose()
    {
        _running.Set();
        _turn.Dispose();
    }

    // Tells what comes afterwards the term that the node was in and its vote, null = it was down.
    private async Task EndAsync(
        Action<(long Term, int VotedFor)?> afterwards, bool inOrder = false)
    {
        _running.Set();
        await _turn.WaitAsync();
        try
        {
            (long, int)? promised = null;
            if (node.IsUp)
            {
                var ended = node.Node;
                await (inOrder ? node.Node.PrepareToStopAsync() : Task.CompletedTask);
                await JudgeFailureAsync();
                await node.StopAsync();
                promised = (ended.Log.Term, ended.Log.VotedFor);
            }

            afterwards(promised);
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
