// Adds and removes members throughout a run, while everything else goes wrong as well. Removed
// nodes come back under their ids, half of them with an empty disk.
// Threading: one task. Failure: a change that is not done, or whose outcome is unknown, is as good
// as another: what the members are is asked of the leader in the end.
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class MembershipChanges(
    FaultPlan plan, TestCluster cluster, Func<IReadOnlyList<RunMember>> members,
    Func<RunMember> addMember, CancellationToken ended)
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(1200);
    private readonly Random _random = new(plan.Seed + 7);
    private readonly List<RunMember> _gone = [];

    public int Added { get; private set; }

    public int Removed { get; private set; }

    public async Task RunAsync()
    {
        while (!ended.IsCancellationRequested)
        {
            // A moment between changes; none is waited for.
            await Task.Delay(_random.Next(100, 400), CancellationToken.None);
            if (cluster.Nodes.FirstOrDefault(FaultClients.Leads) is { } leader)
            {
                await ChangeAsync(leader);
            }
        }
    }

    private async Task ChangeAsync(TestNode leader)
    {
        try
        {
            int count = leader.Node.GetMembers().Count;
            if (count <= 3 || (count <= plan.Size && _random.Next(2) == 0))
            {
                await AddAsync(leader);
            }
            else
            {
                await RemoveAsync(leader);
            }
        }
        catch (Exception e) when (e is PgraftException or InvalidOperationException
            or ObjectDisposedException or OperationCanceledException)
        {
            // Not done, or not known.
        }
    }

    private async Task AddAsync(TestNode leader)
    {
        var added = NextToAdd();
        await added.StartAsync();
        try
        {
            using var limit = new CancellationTokenSource(Limit);
            await leader.Node.AddMemberAsync(added.Node.Address, limit.Token);
            Added++;
        }
        catch (PgraftException e) when (e.Code is StatusCode.NotDone or StatusCode.NotLeader
            or StatusCode.WrongState)
        {
            await RetireAsync(added);
        }
    }

    private RunMember NextToAdd()
    {
        if (_gone.Count == 0 || _random.Next(3) == 0)
        {
            return addMember();
        }

        var back = _gone[_random.Next(_gone.Count)];
        _gone.Remove(back);
        if (_random.Next(2) == 0)
        {
            back.LoseDisk();
        }

        back.Retired = false;
        return back;
    }

    private async Task RetireAsync(RunMember member)
    {
        member.Retired = true;
        await member.StopAsync();
        _gone.Add(member);
    }

    private async Task RemoveAsync(TestNode leader)
    {
        var others = members().Where(m => !m.Retired && m.Node != leader).ToArray();
        var victim = others[_random.Next(others.Length)];
        using var limit = new CancellationTokenSource(Limit);
        await leader.Node.RemoveMemberAsync(victim.NodeId, limit.Token);
        Removed++;
        await RetireAsync(victim);
    }
}
