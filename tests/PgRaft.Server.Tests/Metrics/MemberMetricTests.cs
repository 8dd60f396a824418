// What a leader shows of the other members against what was done to them: far away for a known
// time, stopped for a known time, behind by a known number of entries; and the messages of an idle
// cluster, which are counted where they are sent and where they arrive.
using System.Diagnostics;

using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Cluster;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Metrics;

public class MemberMetricTests
{
    // What may lie between an answer and the stopping of who gave it, on a busy machine.
    private const double Slack = 1;

    [Fact]
    [ValuesOf("pgraft_peer_round_trip_seconds", "pgraft_replication_duration_seconds")]
    public async Task A_long_way_is_in_every_time_that_it_takes_part_in()
    {
        const int puts = 10;
        const double roundTrip = 0.12;
        await using var cluster = await HostCluster.StartAsync(
            isFounded: true, oneWay: TimeSpan.FromSeconds(roundTrip / 2));
        int leader = await cluster.WaitForLeaderAsync();
        int[] others = [.. cluster.Running().Where(id => id != leader)];

        // Nothing is on its way when the measurement begins.
        await Scrape.PutAsync(cluster, leader, 1);
        await Eventually.GetAsync(
            () => Scrape.OfAsync(cluster, leader),
            s => others.All(id => s[Scrape.Peer("lag_entries", id)] == 0), "the others have all");
        var putting = await Scrape.BeginAsync(cluster, leader);
        await Scrape.PutAsync(cluster, leader, puts);
        await putting.EndAsync();

        putting.TookAtLeast("pgraft_proposal_duration_seconds", puts, 0.1);
        Assert.InRange(putting.Of("pgraft_log_sync_duration_seconds_count"), 1, puts);
        double count = putting.Of("pgraft_replication_duration_seconds_count");
        Assert.InRange(count, puts, 2 * puts);
        Assert.Equal(0, putting.Of("pgraft_replication_duration_seconds_bucket{le=\"0.1\"}"));
        Assert.InRange(
            putting.Of("pgraft_replication_duration_seconds_sum"), count * roundTrip,
            2 * putting.Seconds);
        foreach (int id in others)
        {
            string sample = Scrape.Peer("round_trip_seconds", id);
            await Eventually.GetAsync(
                () => Scrape.OfAsync(cluster, leader), s => s[sample] < 2 * roundTrip,
                $"the way to node {id} is no longer than it is");
            for (int look = 0; look < 20; look++)
            {
                double shown = (await Scrape.OfAsync(cluster, leader))[sample];
                Assert.True(shown >= roundTrip, $"{shown} s");
            }
        }
    }

    [Fact]
    [ValuesOf(
        "pgraft_peer_up", "pgraft_peer_lag_entries", "pgraft_peer_match_index",
        "pgraft_peer_last_contact_seconds")]
    public async Task A_member_that_is_down_is_behind_and_silent_since_then()
    {
        const int puts = 7;
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        int down = cluster.Running().First(id => id != leader);
        int up = cluster.Running().First(id => id != leader && id != down);
        await Scrape.PutAsync(cluster, leader, 1);
        await CaughtUpAsync(cluster, leader, down);
        double had = (await Scrape.OfAsync(cluster, leader))["pgraft_log_last_index"];

        long stopping = Stopwatch.GetTimestamp();
        await cluster.StopNodeAsync(down);
        long stopped = Stopwatch.GetTimestamp();
        await Scrape.PutAsync(cluster, leader, puts);
        await CaughtUpAsync(cluster, leader, up);

        var scraped = await Eventually.GetAsync(
            () => Scrape.OfAsync(cluster, leader),
            s => s[Scrape.Peer("last_contact_seconds", down)] > 2 * Slack,
            "the silence grows");
        Assert.InRange(
            scraped[Scrape.Peer("last_contact_seconds", down)],
            0, Stopwatch.GetElapsedTime(stopping).TotalSeconds + Slack);
        scraped = await Scrape.OfAsync(cluster, leader);
        Assert.InRange(
            Stopwatch.GetElapsedTime(stopped).TotalSeconds
                - scraped[Scrape.Peer("last_contact_seconds", down)], -Slack, Slack);
        Assert.Equal(puts, scraped[Scrape.Peer("lag_entries", down)]);
        Assert.Equal(had, scraped[Scrape.Peer("match_index", down)]);
        Assert.Equal(0, scraped[Scrape.Peer("up", down)]);
        Assert.Equal(0, scraped[Scrape.Peer("lag_entries", up)]);
        Assert.Equal(had + puts, scraped[Scrape.Peer("match_index", up)]);
        Assert.Equal(1, scraped[Scrape.Peer("up", up)]);
        Assert.InRange(scraped[Scrape.Peer("last_contact_seconds", up)], 0, Slack);
    }

    // From the only member, whose lease has no end, to three and back to two: of who was removed
    // nothing is left.
    [Fact]
    [ValuesOf("pgraft_members", "pgraft_peer_up", "pgraft_lease_remaining_seconds")]
    public async Task Members_are_counted_and_shown_while_they_are_members()
    {
        const int leader = 1;
        await using var cluster = await HostCluster.StartAsync(isFounded: false);
        Assert.Equal(0, (await Scrape.OfAsync(cluster, leader))["pgraft_members"]);
        await OkAsync(cluster, RequestCode.Init);
        var alone = await MembersAsync(cluster, leader);
        Assert.Equal(1, alone["pgraft_is_leader"]);
        Assert.DoesNotContain("pgraft_lease_remaining_seconds", alone.Samples.Keys);

        foreach (int id in new[] { 2, 3 })
        {
            await OkAsync(cluster, RequestCode.AddNode, id, "127.0.0.1", cluster.Port(id));
            var grown = await MembersAsync(cluster, [.. Enumerable.Range(leader, id)]);
            Assert.InRange(grown["pgraft_lease_remaining_seconds"], 0, 1);
        }

        await OkAsync(cluster, RequestCode.RemoveNode, 2);
        await MembersAsync(cluster, leader, 3);
        await Eventually.GetAsync(
            () => Scrape.OfAsync(cluster, 3), s => s["pgraft_members"] == 2,
            "the one that is left has heard of it");
        await OkAsync(cluster, RequestCode.RemoveNode, 3);
        Assert.DoesNotContain(
            "pgraft_lease_remaining_seconds", (await MembersAsync(cluster, leader)).Samples.Keys);
    }

    // Nothing else is sent while nothing is written; when something is, it is no heartbeat.
    [Fact]
    [ValuesOf("pgraft_heartbeats_sent_total", "pgraft_peer_messages_total")]
    public async Task The_messages_that_arrive_are_the_heartbeats_and_the_entries_that_were_sent()
    {
        const int heartbeats = 40;
        const int puts = 50;
        const int underWay = 4;
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        int[] followers = [.. cluster.Running().Where(id => id != leader)];
        await Scrape.PutAsync(cluster, leader, 1);
        foreach (int id in followers)
            await CaughtUpAsync(cluster, leader, id);

        var idle = await BeginAsync(cluster, leader, followers);
        await Eventually.GetAsync(
            () => Scrape.OfAsync(cluster, leader),
            s => s["pgraft_heartbeats_sent_total"]
                >= idle.Sent.Before["pgraft_heartbeats_sent_total"] + heartbeats,
            "heartbeats go on");
        var (sent, arrived) = await idle.EndAsync();
        Assert.InRange(sent, heartbeats, (20 * idle.Sent.Seconds) + underWay);
        Assert.InRange(arrived, sent - underWay, sent + underWay);

        var busy = await BeginAsync(cluster, leader, followers);
        await Scrape.PutAsync(cluster, leader, puts);
        (sent, arrived) = await busy.EndAsync();
        Assert.InRange(sent, 0, (20 * busy.Sent.Seconds) + underWay);
        Assert.InRange(arrived - sent, puts - underWay, (2 * puts) + underWay);
        Assert.Equal(
            0, (await Scrape.OfAsync(cluster, followers[0]))["pgraft_heartbeats_sent_total"]);
    }

    [Fact]
    [ValuesOf(
        "pgraft_elections_started_total", "pgraft_elections_won_total",
        "pgraft_leaderships_lost_total", "pgraft_term")]
    public async Task A_transfer_is_one_election_of_the_one_who_leads_then()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int old = await cluster.WaitForLeaderAsync();
        int next = cluster.Running().First(id => id != old);
        var oldLeader = await Scrape.BeginAsync(cluster, old);
        var newLeader = await Scrape.BeginAsync(cluster, next);

        var answer = await cluster.CallAsync(old, RequestCode.TransferLeadership, next);
        Assert.True(answer.Status == StatusCode.Ok, answer.Summary);
        Assert.Equal(next, await cluster.WaitForLeaderAsync());
        await oldLeader.EndAsync();
        await newLeader.EndAsync();

        foreach (var (scrape, started, won, lost) in new[]
        {
            (oldLeader, 0, 0, 1), (newLeader, 1, 1, 0),
        })
        {
            Assert.Equal(started, scrape.Of("pgraft_elections_started_total"));
            Assert.Equal(won, scrape.Of("pgraft_elections_won_total"));
            Assert.Equal(lost, scrape.Of("pgraft_leaderships_lost_total"));
            Assert.Equal(1, scrape.Of("pgraft_term"));
        }
    }

    private static async Task OkAsync(
        HostCluster cluster, RequestCode code, params object?[] values)
    {
        var answer = await cluster.CallAsync(1, code, values);
        Assert.True(answer.Status == StatusCode.Ok, answer.Summary);
    }

    // As node 1, which leads, tells of them; each of the others with every metric of a peer.
    private static Task<Exposition> MembersAsync(HostCluster cluster, params int[] ids)
    {
        string[] metrics =
            ["up", "lag_entries", "match_index", "last_contact_seconds", "round_trip_seconds"];
        var expected = ids.Where(id => id != 1)
            .SelectMany(id => metrics.Select(m => Scrape.Peer(m, id))).Order().ToArray();
        return Eventually.GetAsync(
            () => Scrape.OfAsync(cluster, 1),
            s => s["pgraft_members"] == ids.Length
                && s.Samples.Keys.Where(k => k.Contains("{peer=", StringComparison.Ordinal))
                    .Order().SequenceEqual(expected),
            $"members {string.Join(' ', ids)}");
    }

    private static Task<Exposition> CaughtUpAsync(
        HostCluster cluster, int leader, int follower) =>
        Eventually.GetAsync(
            () => Scrape.OfAsync(cluster, leader),
            s => s.Samples.GetValueOrDefault(Scrape.Peer("match_index", follower))
                == s["pgraft_log_last_index"],
            $"node {follower} has everything");

    private static async Task<Messages> BeginAsync(
        HostCluster cluster, int leader, int[] followers)
    {
        var sent = await Scrape.BeginAsync(cluster, leader);
        return new Messages(
            sent,
            await Task.WhenAll(followers.Select(id => Scrape.BeginAsync(cluster, id))));
    }

    private sealed record Messages(Scrape Sent, Scrape[] Received)
    {
        public async Task<(double Sent, double Arrived)> EndAsync()
        {
            await Task.WhenAll([Sent.EndAsync(), .. Received.Select(r => r.EndAsync())]);
            return (
                Sent.Of("pgraft_heartbeats_sent_total"),
                Received.Sum(r => r.Of("pgraft_peer_messages_total")));
        }
    }
}
