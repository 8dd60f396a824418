// Leaders that stand still (SIGSTOP) and go on later, believing that no time has passed: how soon
// the others have a new leader, and that the old one's claim is over before it can be believed.
//
// Threading: the tests run one after the other. Times are compared by the wall clock, which all
// processes on one machine share and these tests do not move.

using System.Diagnostics;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class FreezeTests : ServerTest
{
    private const int FewRounds = 3;
    private const int Rounds = 5;

    // election_timeout at its default is the lower bound; the upper is twice that.
    private static readonly TimeSpan UpperElectionTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Limit = UpperElectionTimeout * 2;

    // The election timeout less a tenth: how long a lease may outlive its last heartbeat.
    private static readonly TimeSpan Lease = TimeSpan.FromMilliseconds(900);

    [Fact]
    public async Task A_frozen_leader_is_replaced_and_does_not_claim_leadership_when_thawed()
    {
        await ServerFrozenAsync(FewRounds);
    }

    [Fact]
    [Trait("Category", "long")]
    public async Task A_frozen_leader_is_replaced_five_times()
    {
        await ServerFrozenAsync(Rounds);
    }

    [Fact]
    public async Task A_frozen_leader_is_replaced_while_another_member_is_frozen_too()
    {
        await TwoOfFiveFrozenAsync(FewRounds);
    }

    [Fact]
    [Trait("Category", "long")]
    public async Task A_frozen_leader_is_replaced_while_another_member_is_frozen_five_times()
    {
        await TwoOfFiveFrozenAsync(Rounds);
    }

    [Fact]
    public async Task A_frozen_worker_is_replaced_and_its_lease_runs_out_without_it()
    {
        await WorkerFrozenAsync(FewRounds);
    }

    [Fact]
    [Trait("Category", "long")]
    public async Task A_frozen_worker_is_replaced_five_times()
    {
        await WorkerFrozenAsync(Rounds);
    }

    private async Task ServerFrozenAsync(int rounds)
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        await ReplacedInTimeAsync(cluster, rounds, alsoFrozen: 0, FreezeServerUnderSampleAsync);
    }

    private async Task TwoOfFiveFrozenAsync(int rounds)
    {
        var cluster = await NewClusterAsync(5, Founding.InitialCluster);
        await ReplacedInTimeAsync(cluster, rounds, alsoFrozen: 1, FreezeServerUnderSampleAsync);
    }

    private async Task WorkerFrozenAsync(int rounds)
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        await ReplacedInTimeAsync(cluster, rounds, alsoFrozen: 0, FreezeWorkerUnderSampleAsync);
    }

    private delegate Task<TimeSpan> Replacement(TestCluster cluster, TestServer leader);

    private static async Task ReplacedInTimeAsync(
        TestCluster cluster, int rounds, int alsoFrozen, Replacement replace)
    {
        var times = new List<TimeSpan>();
        for (var round = 0; round < rounds; round++)
        {
            var leader = await cluster.LeaderAsync();
            await TestCluster.FirstWriteAsync(leader, $"round/{round}");
            await using (await FreezeOthersAsync(cluster, leader, alsoFrozen))
            {
                times.Add(await replace(cluster, leader));
            }

            await cluster.AgreedStateAsync();
        }

        Note($"a new leader after {string.Join(", ", times)}; worst {times.Max()}");

        // A few rounds on a machine that is busy with other things say less about pgraft than about
        // the machine: one may be late there.
        var counted = rounds < Rounds ? times.Order().SkipLast(1).Max() : times.Max();
        Assert.True(counted < Limit, string.Join(", ", times));
    }

    private static Task<Freezer> FreezeOthersAsync(
        TestCluster cluster, TestServer leader, int count)
    {
        var workers = cluster.Servers.Where(s => s != leader).Take(count).Select(s => s.WorkerPid);
        return Freezer.ProcessesAsync([.. workers]);
    }

    private static async Task<TimeSpan> FreezeServerUnderSampleAsync(
        TestCluster cluster, TestServer leader)
    {
        var sampling = await LeadershipSampler.StartAsync(leader);
        var clock = Stopwatch.StartNew();
        await using var frozen = await Freezer.ServerAsync(leader);
        var takeover = await Takeover.AwaitAsync(cluster, leader, clock);
        await TestCluster.FirstWriteAsync(takeover.Leader, "while frozen");
        await frozen.ThawAsync();

        takeover.ComesAfter(await sampling);
        return takeover.Took;
    }

    // Here the backends live, and so does the sampler: what ends the lease is its deadline alone.
    private static async Task<TimeSpan> FreezeWorkerUnderSampleAsync(
        TestCluster cluster, TestServer leader)
    {
        var (takeover, old, frozenAt) = await Takeover.OfFrozenWorkerAsync(cluster, leader);

        takeover.ComesAfter(old);
        Assert.True(
            old.LastTrue <= frozenAt + Lease,
            $"frozen at {frozenAt:O}, still leader at {old.LastTrue:O}");
        return takeover.Took;
    }
}
