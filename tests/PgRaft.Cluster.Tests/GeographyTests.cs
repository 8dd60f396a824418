// Members far from each other, at the election timeouts that the operations guide gives for such
// latencies: under a steady load there is no election, no put fails, nothing is logged, and when
// the leader dies another takes over in a time that follows from timeout and distance.
//
// The way between two members takes so long in each direction, and loses 0.1 % of the segments,
// the most that the guide allows. A proxy in user space cannot lose a segment of TCP; what it does
// instead, a stall of the stream in order for a retransmission timeout (the longer of 200 ms and
// two round trips, doubled for each further loss), is in SegmentLoss, and why that is no better
// than the real thing. Disks and processors are this machine's; clients are beside their server.
//
// Threading: one test. Failure: the figures are in the output either way.

using System.Diagnostics;
using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class GeographyTests : ServerTest
{
    private const double Loss = 0.001;
    private const int WritersPerServer = 8;

    // Of an election; votes that are split twice in a row are rare.
    private const int Rounds = 3;

    // Ten lines an hour when all is well, snapshots included, are fewer than two in ten minutes.
    private const int MostLines = 1;

    // 24 writers: forty puts a second where a put takes no longer than this.
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(600);
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(10);

    // The guide: less than 10 ms, 10 to 50 ms, more than 50 ms.
    public static TheoryData<int, int> Distances => new()
    {
        { 10, 1000 },
        { 50, 2000 },
        { 150, 5000 },
    };

    [Theory]
    [MemberData(nameof(Distances))]
    public async Task A_steady_load_over_a_distance_sees_no_election(
        int oneWayMs, int electionTimeoutMs)
    {
        await TryAsync(DistanceOf(oneWayMs, electionTimeoutMs), Short, failovers: 1);
    }

    // Each distance by itself: three clusters at once are nine servers on one machine, and what
    // they take of one another's processors is no distance.
    [Fact]
    [Trait("Category", "long")]
    public Task Ten_minutes_of_steady_load_at_10_ms_see_no_election()
    {
        return TryAsync(DistanceOf(10, 1000), Long, failovers: 5);
    }

    [Fact]
    [Trait("Category", "long")]
    public Task Ten_minutes_of_steady_load_at_50_ms_see_no_election()
    {
        return TryAsync(DistanceOf(50, 2000), Long, failovers: 5);
    }

    [Fact]
    [Trait("Category", "long")]
    public Task Ten_minutes_of_steady_load_at_150_ms_see_no_election()
    {
        return TryAsync(DistanceOf(150, 5000), Long, failovers: 5);
    }

    private static Distance DistanceOf(int oneWayMs, int electionTimeoutMs)
    {
        return new Distance(TimeSpan.FromMilliseconds(oneWayMs), Loss, electionTimeoutMs);
    }

    private async Task TryAsync(Distance distance, TimeSpan duration, int failovers)
    {
        var distant = await DistantCluster.StartAsync(distance, Configure);
        Watch(distant.Cluster);
        Own(distant);
        await LoadAsync(distance, distant, duration);
        await FailOverAsync(distance, distant.Cluster, failovers);
    }

    // The guide's frequent snapshots: some fall into ten minutes.
    private static void Configure(TestServer server)
    {
        server.Settings["pgraft.snapshot_interval"] = "5000";
        server.Settings["pgraft.max_log_entries"] = "500";
    }

    private static async Task LoadAsync(
        Distance distance, DistantCluster distant, TimeSpan duration)
    {
        var cluster = distant.Cluster;
        var leader = await cluster.LeaderAsync();
        await cluster.AgreedStateAsync();
        var log = LogLines.Since(cluster.Servers);
        var before = await Standing.OfAsync(cluster);
        await using var pulse = new Pulse();
        await using var puts = new SteadyPuts(cluster.Servers, WritersPerServer, Period);
        await puts.RunAsync(duration);
        await puts.StopAsync();
        await cluster.AgreedStateAsync();
        var after = await Standing.OfAsync(cluster);

        Note($"{Name(distance)}, {duration}: {after.Elections - before.Elections} elections, "
            + $"{puts.Count} puts, {puts.Failures.Count} failed; {distant.Lost} segments lost; "
            + $"longest pause of the machine {Seconds(pulse.LongestPause)}; "
            + $"snapshots at {string.Join(", ", after.Snapshots)}");
        Note($"  all: {puts.Of(_ => true)}");
        Note($"  on the leader: {puts.Of(id => id == leader.NodeId)}");
        Note($"  on followers: {puts.Of(id => id != leader.NodeId)}");
        Assert.Empty(puts.Failures);
        Assert.Equal(before.Members, after.Members);
        Assert.Equal(before.Elections, after.Elections);
        Assert.All(log.ByNode().Values, lines => Assert.True(
            lines.Length <= MostLines, string.Join('\n', lines)));
        if (duration == Long)
        {
            Assert.All(after.Snapshots, index => Assert.NotEqual(0, index));
        }
    }

    // From SIGKILL of the leader's server until each survivor has taken a write.
    private static async Task FailOverAsync(Distance distance, TestCluster cluster, int failovers)
    {
        var times = new List<TimeSpan>();
        for (var run = 0; run < failovers; run++)
        {
            var leader = await cluster.LeaderAsync(Limit(distance, Rounds));
            var log = LogLines.Since(cluster.Servers.Where(s => s != leader));
            var clock = Stopwatch.StartNew();
            await leader.KillAsync();
            await Task.WhenAll(cluster.Running().Select(s => TestCluster.FirstWriteAsync(
                s, $"after/{run}/{s.NodeId}", Limit(distance, Rounds + 1))));
            times.Add(clock.Elapsed);

            // What was silent under load is not silent now.
            Assert.All(log.ByNode().Values, Assert.NotEmpty);
            await leader.StartAsync();
            await cluster.LeaderAsync(Limit(distance, Rounds));
            await cluster.AgreedStateAsync();
        }

        times.Sort();
        Note($"{Name(distance)}, failover: {string.Join(", ", times.Select(Seconds))}; "
            + $"at most {Seconds(Limit(distance, Rounds))}");
        Assert.True(times[^1] < Limit(distance, Rounds), Seconds(times[^1]));
    }

    // A round of election is the random timeout, at most twice the setting, and the question who
    // would vote and the votes, for each of which a candidate waits at most a quarter of the
    // setting. Two survivors that stand within a round trip of each other split the votes and need
    // another round; the farther they are, the more often. Then the winner connects and commits an
    // entry of its term, and the put is forwarded, replicated and answered: five round trips,
    // another five for a round that is under way, and a second for busy processors.
    private static TimeSpan Limit(Distance distance, int rounds)
    {
        var round = TimeSpan.FromMilliseconds(distance.ElectionTimeoutMs) * 2.5;
        return (round * rounds) + (distance.RoundTrip * 10) + TimeSpan.FromSeconds(1);
    }

    private static string Name(Distance distance)
    {
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{distance.OneWay.TotalMilliseconds:F0} ms one way, {distance.Loss:P1} loss, "
            + $"election timeout {distance.ElectionTimeoutMs} ms");
    }

    private static string Seconds(TimeSpan time)
    {
        return string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:F2} s");
    }
}
