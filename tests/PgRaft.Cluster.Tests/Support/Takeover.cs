// The moment at which another member claims leadership, and whether the old leader's claims had
// ended by then. This is what exclusive leases mean, seen from outside.
//
// Threading: one test. Times are of the wall clock, which all processes of one machine share.
// Failure: no new leader within the poll's deadline throws.

using System.Diagnostics;

namespace PgRaft.Cluster.Tests.Support;

/// <param name="Leader">Who claims leadership now.</param>
/// <param name="Claimed">A moment at which it had already done so.</param>
/// <param name="Took">How long that took.</param>
internal sealed record Takeover(TestServer Leader, DateTime Claimed, TimeSpan Took)
{
    /// <summary>Waits until a member other than the old leader claims leadership.</summary>
    public static async Task<Takeover> AwaitAsync(
        TestCluster cluster, TestServer old, Stopwatch since)
    {
        var others = cluster.Servers.Where(s => s != old).ToArray();
        var answers = await Poll.UntilAsync(
            "another leader",
            () => Task.WhenAll(others.Select(AskAsync)),
            all => all.Any(a => a.Claims));
        var took = since.Elapsed;
        var claim = answers.First(a => a.Claims);
        return new Takeover(claim.Server, claim.At, took);
    }

    /// <summary>Freezes the leader's worker while its backends go on answering, waits for a new
    /// leader and returns it with the old one's answers and the time of the freeze.</summary>
    public static async Task<(Takeover Takeover, LeadershipSamples Old, DateTime FrozenAt)>
        OfFrozenWorkerAsync(TestCluster cluster, TestServer leader)
    {
        var sampling = await LeadershipSampler.StartAsync(leader);
        var clock = Stopwatch.StartNew();
        await using var frozen = await Freezer.ProcessesAsync(leader.WorkerPid);
        var takeover = await AwaitAsync(cluster, leader, clock);
        var samples = await sampling;
        Assert.False(await leader.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        Assert.Equal(0, await leader.LeaderAsync());
        return (takeover, samples, frozen.StoppedAt);
    }

    /// <summary>Fails when the old leader answered true after this takeover.</summary>
    public void ComesAfter(LeadershipSamples old)
    {
        Assert.True(
            old.LastTrue < Claimed,
            $"{old}: another member has led since {Claimed:O} or before");
        Assert.Equal(LeadershipSampler.EnoughFalse, old.FalseAtEnd);
    }

    // The frozen member among them, if any, does answer: its backends live.
    private static async Task<(TestServer Server, bool Claims, DateTime At)> AskAsync(
        TestServer server)
    {
        var claims = await server.ScalarAsync<bool>("SELECT pgraft_is_leader()");

        // Read after the answer: by then the claim had been made.
        return (server, claims, DateTime.UtcNow);
    }
}
