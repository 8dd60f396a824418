// Does something bad every moment, as the plan's seed says, until told to end; then makes all good.
// Threading: one task; membership changes have one of their own (MembershipChanges). Failure: what
// ends a member without being asked to is a violation.
using System.Diagnostics;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class Nemesis(
    FaultPlan plan, FaultyNetwork network, Func<IReadOnlyList<RunMember>> members)
{
    private readonly Random _random = new(plan.Seed);
    private Task _yielding = Task.CompletedTask;
    private Task _transferring = Task.CompletedTask;

    /// <summary>How often each kind of fault was done.</summary>
    public SortedDictionary<string, int> Done { get; } = new(StringComparer.Ordinal);

    private RunMember[] Present => [.. members().Where(m => !m.Retired)];

    public async Task MisbehaveAsync()
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < plan.Duration)
        {
            string fault = await DoSomethingBadAsync();
            Done[fault] = Done.GetValueOrDefault(fault) + 1;

            // The fault lasts; nothing is waited for.
            await Task.Delay(_random.Next(30, 250));
            if (_random.Next(3) > 0)
            {
                HealNetworkAndDisks();
            }

            await BuryAndRaiseAsync(chance: 2);
        }
    }

    /// <summary>Everything works from now on, and everybody is up.</summary>
    public async Task HealAsync()
    {
        HealNetworkAndDisks();
        await _yielding;
        await _transferring;
        foreach (var member in Present)
        {
            member.Disarm();
        }

        await BuryAndRaiseAsync(chance: int.MaxValue);
    }

    // Ends what has failed, and starts what is down, each with a chance of (n - 1) in n.
    private async Task BuryAndRaiseAsync(int chance)
    {
        foreach (var member in Present)
        {
            await member.BuryAsync(RandomSurvival(), _random);
            if (!member.Node.IsUp && _random.Next(chance) > 0)
            {
                await member.StartAsync();
            }
        }
    }

    private void HealNetworkAndDisks()
    {
        network.Heal();
        foreach (var member in members())
        {
            member.Heal();
        }
    }

    private Survival RandomSurvival() => (Survival)_random.Next(3);

    private async Task<string> DoSomethingBadAsync()
    {
        var present = Present;
        var one = present[_random.Next(present.Length)];
        switch (_random.Next(plan.Clocks == ClockFaults.Jumps ? 23 : 22))
        {
            case < 7:
                return BreakNetwork(present, one);
            case < 11:
                return await BreakFramesAsync(present, one);
            case 11:
                await one.StopAsync();
                return "orderly stop";
            case 12 or 13:
                await one.CrashAsync(RandomSurvival(), _random);
                return "power failure";
            case 14:
                one.CrashSoon(_random.Next(1, 40));
                return "power failure in an operation";
            case 15:
                await Task.WhenAll(present.Select(
                    m => m.CrashAsync(RandomSurvival(), new Random(_random.Next()))));
                return "power failure of all";
            case 16:
                one.FailSyncSoon(_random.Next(1, 10));
                return "failed sync";
            case 17:
                return SlowOrPause(present, one);
            case 18:
                StepDown(present);
                return "leader steps down";
            case < 22:
                Transfer(present, one);
                return "leadership transferred";
            default:
                one.JumpClock(TimeSpan.FromMilliseconds(_random.Next(-500, 500)));
                return "clock jump";
        }
    }

    private string BreakNetwork(RunMember[] present, RunMember one)
    {
        var other = present[_random.Next(present.Length)];
        switch (_random.Next(6))
        {
            case 0:
                Isolate(present, one);
                return "isolated member";
            case 1:
                // There may be none while a majority is cut off: then another is as good.
                Isolate(present, present.FirstOrDefault(m => FaultClients.Leads(m.Node)) ?? one);
                return "isolated leader";
            case 2:
                network.Cut(one.NodeId, other.NodeId);
                return "one-way cut";
            case 3:
                Split(present, bridge: null);
                return "partition";
            case 4:
                Split(present, one);
                return "partition with a bridge";
            default:
                CutOneWay(present, one);
                return "member that is heard and hears nothing";
        }
    }

    private async Task<string> BreakFramesAsync(RunMember[] present, RunMember one)
    {
        switch (_random.Next(4))
        {
            case 0:
                DelayAll(present, TimeSpan.FromMilliseconds(_random.Next(2, 50)));
                return "delay";
            case 1:
                foreach (var peer in present)
                {
                    network.BreakInFrame(one.NodeId, peer.NodeId);
                    network.BreakInFrame(peer.NodeId, one.NodeId);
                }

                return "connections broken inside a frame";
            default:
                foreach (var peer in present.Where(p => p != one))
                {
                    await network.ReplayAsync(one.NodeId, peer.NodeId, _random)
                        .WaitAsync(TimeSpan.FromSeconds(1))
                        .ContinueWith(_ => { }, TaskScheduler.Default);
                }

                return "old requests again, out of order";
        }
    }

    private string SlowOrPause(RunMember[] present, RunMember one)
    {
        if (_random.Next(2) == 0)
        {
            one.SlowDown(TimeSpan.FromMilliseconds(_random.Next(2, 80)));
            return "slow disk";
        }

        Isolate(present, one);
        one.Pause();
        return "paused member";
    }

    private void StepDown(RunMember[] present)
    {
        var leader = present.FirstOrDefault(m => FaultClients.Leads(m.Node));
        if (leader is not null && _yielding.IsCompleted)
        {
            _yielding = YieldAsync(leader);
        }
    }

    // To anybody, or to whoever is best; what happens next may hit the middle of it.
    private void Transfer(RunMember[] present, RunMember target)
    {
        var leader = present.FirstOrDefault(m => FaultClients.Leads(m.Node));
        if (leader is not null && _transferring.IsCompleted)
        {
            int targetId = _random.Next(4) == 0 ? 0 : target.NodeId;
            _transferring = GiveUpAsync(
                token => leader.Node.Node.TransferLeadershipAsync(targetId, token));
        }
    }

    private static Task YieldAsync(RunMember leader) =>
        GiveUpAsync(token => leader.Node.Node.YieldLeadershipAsync(token));

    private static async Task GiveUpAsync(Func<CancellationToken, Task> giveUp)
    {
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await giveUp(limit.Token);
        }
        catch (Exception e) when (e is PgraftException or InvalidOperationException
            or ObjectDisposedException or OperationCanceledException)
        {
            // Nobody took it in time, or it was lost before.
        }
    }

    private void Isolate(RunMember[] present, RunMember one)
    {
        foreach (var peer in present.Where(p => p != one))
        {
            network.Cut(one.NodeId, peer.NodeId);
            network.Cut(peer.NodeId, one.NodeId);
        }
    }

    private void CutOneWay(RunMember[] present, RunMember one)
    {
        foreach (var peer in present.Where(p => p != one))
        {
            network.Cut(peer.NodeId, one.NodeId);
        }
    }

    // Two sides that hear nothing of each other; a bridge hears both.
    private void Split(RunMember[] present, RunMember? bridge)
    {
        var side = present.ToDictionary(m => m, _ => _random.Next(2));
        foreach (var one in present.Where(m => m != bridge))
        {
            foreach (var other in present.Where(m => m != bridge && side[m] != side[one]))
            {
                network.Cut(one.NodeId, other.NodeId);
            }
        }
    }

    private void DelayAll(RunMember[] present, TimeSpan delay)
    {
        foreach (var from in present)
        {
            foreach (var to in present)
            {
                network.Delay(from.NodeId, to.NodeId, delay);
            }
        }
    }
}
