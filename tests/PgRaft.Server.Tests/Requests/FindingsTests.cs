// What is said of settings and measurements, and that nothing is said of what was not measured.
using System.Text.RegularExpressions;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Requests;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class FindingsTests
{
    private const string Timeout = "pgraft.election_timeout";

    private static readonly NodeStatus Leading = new() { Role = NodeRole.Leader };
    private static readonly NodeStatus Following = new() { Role = NodeRole.Follower };

    [Theory]
    [InlineData(0, "notice", "no cluster")]
    [InlineData(1, "notice", "no failure is tolerated")]
    [InlineData(2, "warning", "tolerates no more failures than 1")]
    [InlineData(3, null, null)]
    [InlineData(4, "warning", "tolerates no more failures than 3")]
    [InlineData(5, null, null)]
    [InlineData(6, "warning", "tolerates no more failures than 5")]
    [InlineData(7, null, null)]
    [InlineData(8, "warning", "more than 7 members")]
    [InlineData(9, "warning", "more than 7 members")]
    public void The_number_of_members_is_judged(int count, string? severity, string? text)
    {
        var row = Row("members", [.. Enumerable.Range(1, count).Select(Peer)]);
        Assert.Equal((count.ToString(), severity), (row.Value, row.Severity));
        AssertText(text, row);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(8)]
    public void A_removed_node_says_that_and_does_not_judge_the_others(int count)
    {
        var row = Row(
            "members", [.. Enumerable.Range(1, count).Select(Peer)],
            new NodeStatus { Role = NodeRole.Passive, RemovedIndex = 7 });
        Assert.Equal((count.ToString(), "notice"), (row.Value, row.Severity));
        AssertText("this node was removed", row);
    }

    [Fact]
    public void What_was_not_measured_has_no_value_and_no_finding()
    {
        var silent = Peer(2) with { Version = null, ElectionTimeoutMs = null };
        var rows = Rows([Peer(1), silent, Peer(3)]);
        Assert.DoesNotContain(rows, r => r.Severity is not null);
        Assert.Null(rows.Single(r => r.Subject == "round trip to node 2").Value);
        Assert.Null(rows.Single(r => r.Subject == "sync of data_dir").Value);
        Assert.Equal(
            "node 1: 1.0, node 2: not heard, node 3: 1.0",
            rows.Single(r => r.Subject == "versions").Value);
        Assert.DoesNotContain(rows, r => r.Subject == "round trip to node 1");
    }

    [Theory]
    [InlineData(99.0, null, null)]
    [InlineData(100.1, "warning", "less than 10 times the round trip to node 2, 100.10 ms")]
    [InlineData(333.4, "critical", "less than 3 times the round trip to node 2, 333.40 ms")]
    public void An_election_timeout_is_compared_with_the_round_trip(
        double roundTripMs, string? severity, string? text)
    {
        var slow = Peer(2) with { RoundTripMs = roundTripMs, LatencyMs = 1 };
        var row = Rows([Peer(1), slow, Peer(3) with { RoundTripMs = 5, LatencyMs = 1 }])
            .SingleOrDefault(r => r.Subject == Timeout);
        Assert.Equal(severity, row?.Severity);
        AssertText(text, row);
        if (severity is not null)
            Assert.Matches("^Set it to (1100|3400) ms or more on all members", row!.Advice);
    }

    [Theory]
    [InlineData(9.9, 1000, null)]
    [InlineData(10.0, 1000, "2000 ms")]
    [InlineData(10.0, 2000, null)]
    [InlineData(50.0, 2000, null)]
    [InlineData(50.1, 2000, "5000 ms")]
    [InlineData(50.1, 5000, null)]
    public void An_election_timeout_follows_the_guide_for_the_latency(
        double latencyMs, int timeoutMs, string? advice)
    {
        PeerView Far(int id) => Peer(id) with
        {
            LatencyMs = id == 2 ? latencyMs : 1,
            RoundTripMs = latencyMs,
            ElectionTimeoutMs = timeoutMs,
        };
        var row = Rows([Far(1), Far(2), Far(3)], timeoutMs: timeoutMs)
            .SingleOrDefault(r => r.Subject == Timeout);
        Assert.Equal(advice is null ? null : "warning", row?.Severity);
        if (advice is not null)
        {
            AssertText($"short for a latency of {latencyMs:0.00} ms to node 2", row);
            Assert.Contains(advice, row!.Advice, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Different_election_timeouts_are_named()
    {
        var row = Row(Timeout, [Peer(1), Peer(2) with { ElectionTimeoutMs = 2000 }, Peer(3)]);
        AssertText("not the same on all members: node 2: 2000 ms", row);
    }

    [Theory]
    [InlineData(0.2, null, null)]
    [InlineData(10.0, null, null)]
    [InlineData(10.1, "warning", "slower than 10 ms")]
    [InlineData(100.1, "critical", "more than a tenth of the election timeout")]
    public void A_slow_disk_is_named(double syncMs, string? severity, string? text)
    {
        var row = Row("sync of data_dir", [Peer(1), Peer(2), Peer(3)], syncMs: syncMs);
        Assert.Equal(FormattableString.Invariant($"{syncMs:0.00} ms"), row.Value);
        Assert.Equal(severity, row.Severity);
        AssertText(text, row);
    }

    [Fact]
    public void Different_versions_are_named()
    {
        var row = Row("versions", [Peer(1), Peer(2) with { Version = "1.1" }, Peer(3)]);
        Assert.Equal("node 1: 1.0, node 2: 1.1, node 3: 1.0", row.Value);
        AssertText("members have different versions", row);
        Assert.Equal("1.0", Row("versions", [Peer(1), Peer(2), Peer(3)]).Value);
    }

    [Fact]
    public void A_member_that_cannot_work_with_this_one_is_critical()
    {
        var rows = Rows([Peer(1), Peer(2) with { Version = "3.0", Protocol = 0 }, Peer(3)]);
        var row = rows.Single(r => r.Severity == "critical");
        Assert.Equal(("versions", "3.0"), (row.Subject, row.Value));
        AssertText("node 2 and this node cannot work together", row);
    }

    [Fact]
    public void The_leader_says_why_it_writes_an_older_data_version()
    {
        PeerView[] peers =
            [Peer(1), Peer(2) with { DataVersion = 1 }, Peer(3) with { DataVersion = null }];
        var row = Row("data version", peers, Leading, dataVersion: DataVersions.Newest - 1);
        Assert.Equal($"{DataVersions.Newest - 1}", row.Value);
        AssertText("older than this node could write: node 2: reads 1, node 3: not heard", row);
        row = Row("data version", peers, Following, dataVersion: DataVersions.Newest - 1);
        Assert.Equal((null, null), (row.Value, row.Text));
        row = Row("data version", [Peer(1)], Leading);
        Assert.Equal(($"{DataVersions.Newest}", null), (row.Value, row.Text));
    }

    [Fact]
    public async Task Findings_and_health_are_answered_as_they_are()
    {
        await using var host = await TestHost.StartAsync();
        using var client = host.Connect();
        host.Node.Facts = new NodeFacts(
            [
                Peer(1),
                Peer(2) with
                {
                    IsAlive = null,
                    LastContactMs = 17,
                    RoundTripMs = 1.5,
                    LastError = "away",
                    AliveSince = DateTimeOffset.UnixEpoch.AddMicroseconds(1_234_567),
                },
                Peer(3) with
                {
                    IsAlive = false,
                    Version = null,
                    Protocol = null,
                    DataVersion = null,
                },
            ],
            0.25, DataVersions.Newest);
        Assert.Equal(
            [
                [1, "10.0.0.1", 7001, true, null, null, "1.0", 1, DataVersions.Newest, null, null],
                [
                    2, "10.0.0.2", 7001, null, 17L, 1500L, "1.0", 1, DataVersions.Newest, "away",
                    1_234_567L,
                ],
                [3, "10.0.0.3", 7001, false, null, null, null, null, null, null, null],
            ],
            (await client.CallAsync(RequestCode.Health)).Rows);
        var findings = (await client.CallAsync(RequestCode.Findings)).Rows;
        Assert.Contains(["sync of data_dir", "0.25 ms", null, null, null], findings);
        Assert.Contains(["round trip to node 2", "1.50 ms", null, null, null], findings);
        Assert.Equal(
            StatusCode.BadArgument, (await client.CallAsync(RequestCode.Health, 1)).Status);
        Assert.Equal(
            StatusCode.BadArgument, (await client.CallAsync(RequestCode.Findings, 1)).Status);
    }

    private static PeerView Peer(int id) =>
        new(new MemberAddress(id, $"10.0.0.{id}", 7001), true, null)
        {
            Version = "1.0",
            Protocol = 1,
            DataVersion = DataVersions.Newest,
            ElectionTimeoutMs = 1000,
        };

    private static Finding Row(
        string subject, PeerView[] peers, NodeStatus? status = null, double? syncMs = null,
        int dataVersion = DataVersions.Newest) =>
        Assert.Single(Rows(peers, status, syncMs, dataVersion), r => r.Subject == subject);

    private static Finding[] Rows(
        PeerView[] peers, NodeStatus? status = null, double? syncMs = null,
        int dataVersion = DataVersions.Newest, int timeoutMs = 1000)
    {
        var options = TestHost.Options("/data").Node with { ElectionTimeoutMs = timeoutMs };
        return [.. Findings.Of(
            options, status ?? Leading, new NodeFacts(peers, syncMs, dataVersion))];
    }

    private static void AssertText(string? expected, Finding? row)
    {
        Assert.Equal(expected is null, row?.Text is null);
        Assert.Equal(expected is null, row?.Advice is null);
        if (expected is not null)
            Assert.Matches(Regex.Escape(expected), row!.Text);
    }
}
