// What a control does instead of random faults: exactly that which its sabotage cannot stand, so
// that it is caught at once and not when chance will have it.
// Threading: the nemesis's task. Failure: none; what does not come about in time is left.
using System.Diagnostics;
using PgRaft.Consensus.Tests.Storage;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class Provocation(FaultPlan plan, FaultyNetwork network)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);
    private readonly Random _random = new(plan.Seed + 11);
    private long _committed;

    /// <summary>What of the unsynced survives; null = what chance will have.</summary>
    public Survival? Survives => plan.Sabotage is Sabotage.LogNotSynced or Sabotage.VoteNotSynced
        ? Survival.Nothing
        : null;

    /// <summary>Does it and says what; null when random faults are as good.</summary>
    public async Task<string?> TryAsync(List<RunMember> members) => plan.Sabotage switch
    {
        Sabotage.LogNotSynced => await AllLosePowerAsync(members),
        Sabotage.VoteNotSynced => await VoterLosesPowerAsync(members),
        Sabotage.LeaseTooLong or Sabotage.FenceIgnored => await LeaderIsLostAsync(members),
        _ => null,
    };

    // Once something was committed that nobody may have on the medium.
    private async Task<string> AllLosePowerAsync(List<RunMember> members)
    {
        await UntilAsync(() => members.Max(CommitIndex) > _committed);
        _committed = members.Max(CommitIndex);
        members.ForEach(m => m.CutPower());
        await Task.WhenAll(members.Select(m => m.CrashAsync(Survival.Nothing, new Random(0))));
        return "power failure of all";
    }

    // Between its vote and the first entry of the new leader: with that in its log it would refuse
    // its disk.
    private async Task<string> VoterLosesPowerAsync(List<RunMember> members)
    {
        await UntilAsync(() => members.Exists(Leads));
        var leader = members.Find(Leads) ?? members[0];
        var others = members.FindAll(m => m != leader && m.Node.IsUp);
        if (others.Count > 0)
        {
            var voter = others[_random.Next(others.Count)];
            voter.CrashAfterSavedTerm();
            network.Isolate(leader.NodeId, members.Select(m => m.NodeId));
            await UntilAsync(() => voter.IsOff);
        }

        return "power failure after a vote";
    }

    // It may be one of those that have slow clocks.
    private async Task<string> LeaderIsLostAsync(List<RunMember> members)
    {
        await UntilAsync(() => members.Exists(Leads));
        var leader = members.Find(Leads) ?? members[0];
        network.Isolate(leader.NodeId, members.Select(m => m.NodeId));
        await UntilAsync(() => members.Exists(m => m != leader && Leads(m)));
        return "isolated leader";
    }

    private static bool Leads(RunMember member) => FaultClients.Leads(member.Node);

    private static long CommitIndex(RunMember member)
    {
        try
        {
            return member.Node.IsUp ? member.Node.Node.Log.CommitIndex : 0;
        }
        catch (InvalidOperationException)
        {
            return 0;
        }
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition() && clock.Elapsed < Patience)
        {
            // A poll with a deadline.
            await Task.Delay(2);
        }
    }
}
