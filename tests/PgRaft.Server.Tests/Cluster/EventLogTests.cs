// One line per event that matters, and none when nothing happens.
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

using PgRaft.Consensus;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Cluster;

public class EventLogTests
{
    private const int Started = 101;
    private const int Elected = 111;
    private const int Deposed = 112;
    private const int ElectionTimeout = 114;
    private const int NoMajority = 115;
    private const int Follows = 116;
    private const int ConnectionFailed = 201;
    private const int ConnectionRestored = 202;

    // Of seconds with one digit, by a coarse clock.
    private const double Rounding = 0.1;

    [Fact]
    public async Task The_life_of_a_cluster_is_told_once_per_event()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        int[] others = [.. cluster.Running().Where(id => id != leader)];
        Assert.Equal(1, Count(cluster, leader, Started));
        await Eventually.TrueAsync(
            () => Count(cluster, leader, Elected) == 1
                && others.All(id => Count(cluster, id, Follows) == 1),
            "who leads is told");

        int timeouts = Count(cluster, leader, ElectionTimeout);
        var clock = Stopwatch.StartNew();
        foreach (int id in others)
            await cluster.StopNodeAsync(id);
        await Eventually.TrueAsync(
            () => Count(cluster, leader, ConnectionFailed) == others.Length, "failures are told");
        var failed = clock.Elapsed;
        await Eventually.TrueAsync(
            () => Count(cluster, leader, ElectionTimeout) == timeouts + 1, "the timeout is told");
        Assert.Equal(NodeRole.Follower, cluster.Statuses[leader - 1].Last.Node.Role);
        Assert.Equal(1, Count(cluster, leader, NoMajority));
        Assert.EndsWith(
            ": a majority of the members did not answer",
            Assert.Single(cluster.Log(leader).Records, r => r.EventId == Deposed).Text,
            StringComparison.Ordinal);
        Assert.All(others, id => Assert.Equal(1, cluster.Log(leader).Records.Count(
            r => r.EventId == ConnectionFailed
                && r.Text.Contains($"node {id} ", StringComparison.Ordinal))));

        var away = clock.Elapsed - failed;
        foreach (int id in others)
            await cluster.StartNodeAsync(id);
        await cluster.WaitForLeaderAsync();
        await Eventually.TrueAsync(
            () => Count(cluster, leader, ConnectionRestored) == others.Length,
            "connections are restored");
        Assert.Equal(timeouts + 1, Count(cluster, leader, ElectionTimeout));

        // Away from then on at least until they were started, and not since before they stopped.
        Assert.All(
            cluster.Log(leader).Records.Where(r => r.EventId == ConnectionRestored),
            r => Assert.InRange(
                double.Parse(
                    Regex.Match(r.Text, "restored after ([0-9.]+) s$").Groups[1].ValueSpan,
                    CultureInfo.InvariantCulture),
                away.TotalSeconds - Rounding,
                clock.Elapsed.TotalSeconds + Rounding));
    }

    // Ten lines an hour would be one in six minutes; the test looks at some seconds.
    [Fact]
    public async Task A_quiet_cluster_logs_nothing()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        await cluster.WaitForLeaderAsync();
        await cluster.CallAsync(1, RequestCode.KvPut, "key", "value", 0L);
        await cluster.WaitForEqualAsync();
        int before = Lines(cluster);

        // The length of the observation; nothing is waited for.
        await Task.Delay(TimeSpan.FromSeconds(8), TestContext.Current.CancellationToken);

        Assert.Equal(before, Lines(cluster));
    }

    private static int Count(HostCluster cluster, int id, int eventId) =>
        cluster.Log(id).Records.Count(r => r.EventId == eventId);

    private static int Lines(HostCluster cluster) =>
        Enumerable.Range(1, 3).Sum(id => cluster.Log(id).Records.Count);
}
