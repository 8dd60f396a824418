// Does something bad every moment, as the plan's seed says, until told to end; then makes all good.
// Threading: one task; membership changes have one of their own (MembershipChanges). Failure: what
// ends a member without being asked to is a violation.
using System.Diagnostics;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class Nemesis(
    FaultPlan plan, FaultyNetwork network, Func<IReadOnlyList<RunMember>> members,
    FaultClients clients, ClusterInvariants invariants)
{
    private static readonly TimeSpan TakeoverLimit = TimeSpan.FromSeconds(5);
    private readonly Random _random = new(plan.Seed);
    private readonly Provocation _provocation = new(plan, network);
    private Task _yielding = Task.CompletedTask;
    private Task _transferring = Task.CompletedTask;

    /// <summary>What a violation begins with when nothing was written for too long.</summary>
    public const string Standstill = "writes stood still";

    /// <summary>How often each kind of fault was done.</summary>
    public SortedDictionary<string, int> Done { get; } = new(StringComparer.Ordinal);

    /// <summary>The longest that writes stood still because a disk hung.</summary>
    public TimeSpan LongestTakeover { get; private set; }

    // A control has shown what it should.
    private bool IsCaught => plan.Sabotage != Sabotage.None && invariants.Violations.Count > 0;

    private List<RunMember> Present => [.. members().Where(m => !m.Retired)];

    public async Task MisbehaveAsync()
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < plan.Duration && !IsCaught)
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

    private Survival RandomSurvival() =>
        _provocation.Survives ?? (Survival)_random.Next(3);

    private async Task<string> DoSomethingBadAsync()
    {
        var present = Present;
        if (await _provocation.TryAsync(present) is { } provoked)
        {
            return provoked;
        }

        var one = present[_random.Next(present.Count)];
        switch (_random.Next(plan.Clocks == ClockFaults.Jumps ? 24 : 23))
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
            case 19:
                return await HangDiskAsync();
            case < 23:
                Transfer(present, one);
                return "leadership transferred";
            default:
                one.JumpClock(TimeSpan.FromMilliseconds(_random.Next(-500, 500)));
                return "clock jump";
        }
    }

    private string BreakNetwork(List<RunMember> present, RunMember one)
    {
        var other = present[_random.Next(present.Count)];
        switch (_random.Next(6))
        {
            case 0:
                Isolate(present, one);
                return "isolated member";
            case 1:
                // There may be none while a majority is cut off: then another is as good.
                Isolate(present, present.Find(m => FaultClients.Leads(m.Node)) ?? one);
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

    private async Task<string> BreakFramesAsync(List<RunMember> present, RunMember one)
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
            case 2:
                foreach (var peer in present)
                {
                    network.Lose(one.NodeId, peer.NodeId, _random.Next(2, 8));
                    network.Lose(peer.NodeId, one.NodeId, _random.Next(2, 8));
                }

                return "lost requests and answers";
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

    private string SlowOrPause(List<RunMember> present, RunMember one)
    {
        if (_random.Next(2) == 0)
        {
            one.SlowDown(TimeSpan.FromMilliseconds(_random.Next(2, 80)));
            return "slow disk";
        }

        Isolate(present, one);
        one.HangDisk();
        return "paused member";
    }

    // The network is whole and everybody else well: whoever leads then must leave the writes to
    // those whose disks work.
    private async Task<string> HangDiskAsync()
    {
        HealNetworkAndDisks();
        var present = Present;
        present.ForEach(m => m.Disarm());
        var leader = present.Find(m => FaultClients.Leads(m.Node));
        bool isLeader = leader is not null && _random.Next(4) > 0;
        var one = isLeader ? leader! : present[_random.Next(present.Count)];
        one.HangDisk();
        var clock = Stopwatch.StartNew();
        long hungNs = FaultClients.NowNs;
        while (clients.LastAcknowledgedCallNs <= hungNs && clock.Elapsed < TakeoverLimit)
        {
            await BuryAndRaiseAsync(chance: int.MaxValue);

            // A poll with a deadline: what it waits for are the clients' calls.
            await Task.Delay(5);
        }

        if (clients.LastAcknowledgedCallNs <= hungNs)
        {
            invariants.Broken($"{Standstill}: node {one.NodeId}"
                + $"{(isLeader ? ", the leader," : "")} had a hung disk for {TakeoverLimit}, and "
                + "no write went through the others");
        }

        LongestTakeover = LongestTakeover > clock.Elapsed ? LongestTakeover : clock.Elapsed;
        return isLeader ? "hung disk of the leader" : "hung disk";
    }

    private void StepDown(List<RunMember> present)
    {
        var leader = present.Find(m => FaultClients.Leads(m.Node));
        if (leader is not null && _yielding.IsCompleted)
        {
            _yielding = YieldAsync(leader);
        }
    }

    // To anybody, or to whoever is best; what happens next may hit the middle of it.
    private void Transfer(List<RunMember> present, RunMember target)
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
            // Elsewhere: a member whose disk hangs may hold up the caller, who is to heal it.
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await Task.Run(() => giveUp(limit.Token));
        }
        catch (Exception e) when (e is PgraftException or InvalidOperationException
            or ObjectDisposedException or OperationCanceledException)
        {
            // Nobody took it in time, or it was lost before.
        }
    }

    private void Isolate(List<RunMember> present, RunMember one) =>
        network.Isolate(one.NodeId, present.Select(p => p.NodeId));

    private void CutOneWay(List<RunMember> present, RunMember one)
    {
        foreach (var peer in present.Where(p => p != one))
        {
            network.Cut(peer.NodeId, one.NodeId);
        }
    }

    // Two sides that hear nothing of each other; a bridge hears both.
    private void Split(List<RunMember> present, RunMember? bridge)
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

    private void DelayAll(List<RunMember> present, TimeSpan delay)
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
