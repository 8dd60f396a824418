// How the status page goes on by itself: curves of what is done, what it says when its member does
// not answer, and that it recovers.
//
// Threading: one test at a time, each with a cluster of its own. Failure: the page as it was.

using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed partial class StatusPageLiveTests : StatusPageTest
{
    private const int Points = 3;

    // So many puts and no more, over so much time as a client measured.
    [Fact]
    public async Task The_curves_are_of_the_puts_that_were_made()
    {
        // After ten thousand puts the leader would propose something of its own.
        var cluster = await ClusterAsync(
            3, configure: server => server.Settings["pgraft.compaction_threshold"] = "0");
        var leader = await cluster.LeaderAsync();
        await leader.PutAsync("first", "");
        await using var browser = await BrowserAsync(leader);
        var begin = Sample.Of((await PageView.UntilAsync(
            browser.Page, "an answer", v => v.Served.Length > 0)).Served[^1]);

        var puts = new MeasuredPuts(leader);
        await PageView.UntilAsync(
            browser.Page, "points while there are puts",
            v => v.Served.Count(s => Sample.Of(s).Applied > begin.Applied) > Points);
        await puts.StopAsync();

        // Between an answer and what is drawn of it the page may be caught with one more.
        var idle = await PageView.UntilAsync(
            browser.Page, "that the puts are over",
            v => v.RateText.StartsWith("Rate: 0.0 a second", StringComparison.Ordinal)
                && Sample.Of(v.Served[^1]).Applied == begin.Applied + puts.Count
                && PointsOf(v.Rate).Length == v.Served.Length - 1);
        var samples = idle.Served.Select(Sample.Of).ToArray();
        var steps = samples.Zip(samples.Skip(1), Step.Between).ToArray();
        Assert.Equal(Curve([.. steps.Select(s => (double?)s.Rate)]), idle.Rate);
        Assert.Equal(Curve([.. steps.Select(s => s.MeanMs)]), idle.Latency);
        Assert.Equal(
            $"Since the worker started: {samples[^1].Applied} applied, 0 refused, "
                + "0 of unknown outcome.",
            idle.Proposed);
        Assert.Equal(
            FormattableString.Invariant(
                $"Rate: 0.0 a second; at most {steps.Max(s => s.Rate):F1} in {2 * steps.Length} s"),
            idle.RateText);
        Assert.StartsWith(
            "Mean time: nothing was proposed; at most ", idle.LatencyText,
            StringComparison.Ordinal);
        Assert.Equal(
            steps.Max(s => s.MeanMs)!.Value,
            PageView.MillisecondsOf(idle.LatencyText.Split("at most ")[1]), 0.5);

        // No proposal takes longer than its client waits for it.
        var seconds = samples[^1].Seconds - begin.Seconds;
        Assert.InRange(seconds, puts.Count * 1e-6, puts.Seconds);
        Note($"{puts.Count} puts: {seconds:F3} s in the member, {puts.Seconds:F3} s at the client");
    }

    // A frozen worker keeps its port, so that only time tells; a stopped server refuses.
    [Fact]
    public async Task What_is_old_is_marked_with_its_age_until_the_member_answers_again()
    {
        var cluster = await ClusterAsync(1, Founding.AddNode);
        var server = cluster[1];
        await PutAsync(server, 1, 9, 1);
        await using var browser = await BrowserAsync(server, mayLoseServer: true);
        var page = browser.Page;
        var fresh = await PageView.UntilAsync(
            page, "nine keys", v => v.Node.GetValueOrDefault("Keys") == "9" && v.Rate.Length > 0);
        Assert.False(fresh.IsOld);
        Assert.StartsWith("As of ", fresh.Age, StringComparison.Ordinal);

        await using (var frozen = await Freezer.ProcessesAsync(server.WorkerPid))
        {
            var clock = Stopwatch.StartNew();
            var old = await PageView.UntilAsync(page, "that it is old", v => v.IsOld);
            Assert.Equal(
                "No answer from the node (none within 4 s); what is shown is old.", old.Verdict);
            Assert.Equal("old: " + fresh.Title, old.Title);
            Assert.Equal(fresh.Node, old.Node);
            Assert.Equal(fresh.Log, old.Log);

            // Asked at least once in six seconds, it was last answered so long before the freeze.
            var older = await PageView.UntilAsync(page, "its age", v => AgeOf(v) > AgeOf(old) + 2);
            Assert.InRange(
                AgeOf(older), clock.Elapsed.TotalSeconds - 2, clock.Elapsed.TotalSeconds + 12);
        }

        await PutAsync(server, 10, 11, 1);
        var back = await PageView.UntilAsync(page, "eleven keys", v => v.Node["Keys"] == "11");
        Assert.Equal(
            (false, fresh.Title, "Well: this node leads and holds the lease"),
            (back.IsOld, back.Title, back.Verdict));
        Assert.StartsWith("As of ", back.Age, StringComparison.Ordinal);

        await server.StopAsync();
        var gone = await PageView.UntilAsync(page, "that it is gone", v => v.IsOld);
        Assert.Equal(
            "No answer from the node (Failed to fetch); what is shown is old.", gone.Verdict);
        await server.StartAsync();
        await TestCluster.FirstWriteAsync(server, "key/012");
        var again = await PageView.UntilAsync(
            page, "twelve keys", v => v.Node["Keys"] == "12" && !v.IsOld
                && Interruptions(v.Rate) > Interruptions(back.Rate));
        Assert.True(
            string.CompareOrdinal(again.Node["Worker started"], back.Node["Worker started"]) > 0);

        // Counters that begin anew are no negative rate.
        Assert.DoesNotContain(
            PointsOf(again.Rate), p => HeightOf(p) is < 2 or > 38);
    }

    private static double AgeOf(PageView view) => Age().Match(view.Age) is { Success: true } age
        ? double.Parse(age.Groups[1].Value, CultureInfo.InvariantCulture)
        : throw new TimeoutException(view.Age);

    private static int Interruptions(string path) => path.Count(c => c == 'M');

    private static double HeightOf(string point) =>
        double.Parse(point.Split(',')[1], CultureInfo.InvariantCulture);

    // A piece begins with its first point twice, so that one of a single point is seen.
    private static string[] PointsOf(string path) =>
        [.. path.Split(' ').Where(p => p.Length > 0 && p[0] != 'M').Select(p => p[1..])];

    // The newest value is at the right edge, one before it a step to the left; the largest is at
    // the top, which is 2 of 40, and 38 is nothing.
    private static string Curve(double?[] values)
    {
        var top = values.Max() ?? 1;
        var step = 120.0 / Math.Max(values.Length, 30);
        var path = new List<string>();
        for (var i = 0; i < values.Length; i++)
        {
            if (values[i] is not { } value)
            {
                continue;
            }

            var x = 120 - ((values.Length - 1 - i) * step);
            var y = 38 - (36 * value / Math.Max(top, 1e-9));
            var at = FormattableString.Invariant($"{x:F1},{y:F1}");
            if (i == 0 || values[i - 1] is null)
            {
                path.Add("M" + at);
            }

            path.Add("L" + at);
        }

        return string.Join(' ', path);
    }

    /// <summary>What the curves are made of, of one answer.</summary>
    private sealed record Sample(long AtMs, long Applied, long Count, double Seconds)
    {
        // The page's clock has milliseconds.
        public static Sample Of(JsonElement status)
        {
            var proposals = status.GetProperty("proposals");
            return new Sample(
                status.GetProperty("time").GetDateTimeOffset().ToUnixTimeMilliseconds(),
                proposals.GetProperty("applied").GetInt64(),
                proposals.GetProperty("count").GetInt64(),
                proposals.GetProperty("seconds").GetDouble());
        }
    }

    private sealed record Step(double Rate, double? MeanMs)
    {
        public static Step Between(Sample one, Sample next) => new(
            (next.Applied - one.Applied) * 1000.0 / (next.AtMs - one.AtMs),
            next.Count > one.Count
                ? (next.Seconds - one.Seconds) * 1000 / (next.Count - one.Count)
                : null);
    }

    /// <summary>One client that puts, one after the other, until it is stopped.</summary>
    private sealed class MeasuredPuts
    {
        private readonly Task _writing;
        private volatile bool _isOver;

        public MeasuredPuts(TestServer server)
        {
            _writing = Task.Run(() => WriteAsync(server));
        }

        public int Count { get; private set; }

        public double Seconds { get; private set; }

        public Task StopAsync()
        {
            _isOver = true;
            return _writing;
        }

        private async Task WriteAsync(TestServer server)
        {
            await using var connection = await server.OpenAsync();
            while (!_isOver)
            {
                var start = Stopwatch.GetTimestamp();
                Assert.True(await connection.ScalarAsync<bool>("SELECT pgraft_kv_put('k', 'v')"));
                Seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
                Count++;
            }
        }
    }

    [GeneratedRegex("^The last answer came ([0-9]+) s ago\\. It is tried again every 2 s\\.$")]
    private static partial Regex Age();
}
