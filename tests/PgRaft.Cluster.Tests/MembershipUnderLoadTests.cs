// Members are added and removed in a loop while clients on every server read and write: nothing
// acknowledged is lost, the history is linearizable, and nobody waits for longer than an election
// takes. Removed servers come back under their ids, with their data or with none; every few rounds
// it is the leader that goes.
//
// Threading: one test; the clients are tasks of RegisterLoad. Failure: the figures are in the
// output either way.

using System.Diagnostics;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;
using PgRaft.Histories;

namespace PgRaft.Cluster.Tests;

public sealed class MembershipUnderLoadTests : ServerTest
{
    // An election takes the random timeout, at most twice pgraft.election_timeout, and the votes.
    private static readonly TimeSpan OneElection = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan CheckLimit = TimeSpan.FromMinutes(2);

    private readonly List<TimeSpan> _gaps = [];
    private int _added;
    private int _removed;
    private int _leadersRemoved;

    [Fact]
    public async Task Members_come_and_go_for_a_while()
    {
        await ChangeAsync(TimeSpan.FromSeconds(20), leastRounds: 2);
    }

    [Fact]
    [Trait("Category", "long")]
    public async Task Members_come_and_go_for_ten_minutes()
    {
        await ChangeAsync(TimeSpan.FromMinutes(10), leastRounds: 20);
    }

    private async Task ChangeAsync(TimeSpan duration, int leastRounds)
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        await using var load = new RegisterLoad();
        foreach (var server in cluster.Servers)
        {
            load.Use(server);
        }

        foreach (var id in (int[])[4, 5])
        {
            load.Use(await Members.NewAsync(cluster, id));
        }

        var clock = Stopwatch.StartNew();
        _ = load.TakeLongestGap();
        var rounds = 0;
        for (; clock.Elapsed < duration || rounds < leastRounds; rounds++)
        {
            await RoundAsync(cluster, load, rounds);
        }

        await load.StopAsync();
        var leader = await Members.LeaderAsync(cluster);
        await load.ReadEverythingAsync(leader);
        await cluster.AgreedStateAsync();
        Judge(load, clock.Elapsed, rounds);
    }

    // Two leave, five are three; both come back, one of them with nothing.
    private async Task RoundAsync(TestCluster cluster, RegisterLoad load, int round)
    {
        var first = await RemoveAsync(cluster, load, isLeader: round % 3 == 2);
        var second = await RemoveAsync(cluster, load, isLeader: false, except: first);
        await second.StopAsync();
        second.EmptyPgraftDirectory();
        await second.StartAsync();
        await second.WaitForStateAsync("WAITING");
        foreach (var back in (TestServer[])[first, second])
        {
            await Members.AddAsync(await Members.LeaderAsync(cluster), back);
            await back.WaitForStateAsync("RUNNING");
            _added++;
            _gaps.Add(load.TakeLongestGap());
        }
    }

    private async Task<TestServer> RemoveAsync(
        TestCluster cluster, RegisterLoad load, bool isLeader, TestServer? except = null)
    {
        var leader = await Members.LeaderAsync(cluster);
        var goes = isLeader
            ? leader
            : cluster.Servers.Where(s => s != leader && s != except)
                .ElementAt(_removed % (except is null ? 4 : 3));
        await Members.RemoveAsync(leader, goes.NodeId);
        await goes.WaitForStateAsync("REMOVED");
        _removed++;
        _leadersRemoved += isLeader ? 1 : 0;
        _gaps.Add(load.TakeLongestGap());
        return goes;
    }

    private void Judge(RegisterLoad load, TimeSpan duration, int rounds)
    {
        Note(FormattableString.Invariant(
            $"{duration.TotalSeconds:0} s, {rounds} rounds: {_added} added, {_removed} removed, ")
            + FormattableString.Invariant(
                $"{_leadersRemoved} of them leaders; {load.Acknowledged} writes acknowledged, ")
            + FormattableString.Invariant(
                $"{load.Unknown} unknown, {load.History.Operations.Count} operations; longest ")
            + FormattableString.Invariant(
                $"time without a write {_gaps.Max().TotalMilliseconds:0} ms, median of the ")
            + FormattableString.Invariant(
                $"changes {_gaps.Order().ElementAt(_gaps.Count / 2).TotalMilliseconds:0} ms"));
        Assert.True(load.Acknowledged > duration.TotalSeconds, "hardly anything was written");
        var verdict = RegisterChecker.Check(load.History.Operations, CheckLimit);
        Assert.True(verdict is CheckResult.Linearizable, $"{verdict}");
        Assert.InRange(_gaps.Max(), TimeSpan.Zero, OneElection);
    }
}
