// What the paths answer in each state of the node.
using System.Text.Json;

using Microsoft.Extensions.Logging;

using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;
using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Http;
using PgRaft.Server.Logging;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Http;

public class HttpPathTests
{
    private const int RequestFailed = 2053;

    [Theory]
    [InlineData("leader", 200, 200, 200, 200, 503)]
    [InlineData("leader without lease", 200, 503, 503, 503, 503)]
    [InlineData("follower", 200, 200, 200, 503, 200)]
    [InlineData("follower of a silent leader", 200, 503, 503, 503, 503)]
    [InlineData("candidate", 200, 503, 503, 503, 503)]
    [InlineData("no configuration", 200, 503, 503, 503, 503)]
    [InlineData("passive", 200, 503, 503, 503, 503)]
    [InlineData("removed", 200, 503, 503, 503, 503)]
    public async Task Checks_answer_by_the_state_of_the_node(
        string state, int livez, int readyz, int health, int leader, int follower)
    {
        await using var host = await HttpHost.StartAsync();
        host.Node.Status = InState(host.Node.Status, state);

        var statuses = new List<int>();
        foreach (string path in new[] { "/livez", "/readyz", "/health", "/leader", "/follower" })
            statuses.Add((await host.GetAsync(path)).Status);

        Assert.Equal([livez, readyz, health, leader, follower], statuses);
    }

    [Fact]
    public async Task A_check_says_why()
    {
        await using var host = await HttpHost.StartAsync();
        host.Node.Follow(2);

        Assert.Equal(
            "{\"ok\":false,\"reason\":\"node 2 leads\"}", (await host.GetAsync("/leader")).Body);
        Assert.Equal(
            "{\"ok\":true,\"reason\":\"this node follows node 2\"}",
            (await host.GetAsync("/follower")).Body);
    }

    [Fact]
    public async Task A_node_that_has_failed_is_not_alive_and_says_why()
    {
        await using var host = await HttpHost.StartAsync();
        host.Node.Fail(new PgraftException(StatusCode.IoError, "the disk is gone"));
        await Eventually.TrueAsync(
            () => host.Host.Host.State == WorkerState.Error, "the node has failed");

        var (status, body) = await host.GetAsync("/livez");

        Assert.Equal(503, status);
        Assert.Contains("the disk is gone", body, StringComparison.Ordinal);
        Assert.Equal(503, (await host.GetAsync("/leader")).Status);
        Assert.Contains("\npgraft_up 0\n", (await host.GetAsync("/metrics")).Body,
            StringComparison.Ordinal);
    }

    // A start may take long: what hangs is looked for on the page.
    [Fact]
    public async Task A_node_that_starts_says_so_and_knows_of_no_member_yet()
    {
        var gate = Eventually.NewSignal();
        var http = new HttpOptions(true, "127.0.0.1", HttpHost.FreePort());
        await using var host = TestHost.Create(o => o with { Http = http });
        host.OnNodeStart = () => gate.Task;
        var starting = host.Host.StartAsync();
        await Eventually.TrueAsync(() => host.Host.IsServingHttp, "HTTP is served");
        await Eventually.TrueAsync(() => host.Node is not null, "the node exists");

        string[] paths = ["/livez", "/metrics", "/status.json", "/readyz", "/leader"];
        var statuses = new List<int>();
        foreach (string path in paths)
            statuses.Add((await HttpHost.GetAsync(http.Port, path)).Status);
        using var json = JsonDocument.Parse(
            (await HttpHost.GetAsync(http.Port, "/status.json")).Body);
        gate.SetResult();
        await Eventually.InTimeAsync(starting);

        Assert.Equal([200, 200, 200, 503, 503], statuses);
        Assert.Equal("STARTING", json.RootElement.GetProperty("worker").GetString());
        Assert.Equal(
            "the worker is starting", json.RootElement.GetProperty("reason").GetString());
        Assert.Equal(JsonValueKind.Null, json.RootElement.GetProperty("may_act").ValueKind);
        Assert.Equal(0, json.RootElement.GetProperty("members").GetArrayLength());
    }

    // What is unknown is null: a leader that is not heard proves nothing about a majority.
    [Fact]
    public async Task Health_answers_the_questions_of_a_failover_manager()
    {
        var begin = DateTimeOffset.UtcNow;
        await using var host = await HttpHost.StartAsync();
        var since = DateTimeOffset.UnixEpoch.AddDays(1);
        host.Node.History = [new LeadershipChange(since, NodeRole.Leader, 3, 1, "won")];
        host.Node.Status = host.Node.Status with { LiveMembers = 3, LiveMembersSinceNs = 1 };

        using var leads = JsonDocument.Parse((await host.GetAsync("/health")).Body);
        host.Node.Follow(0);
        using var lost = JsonDocument.Parse((await host.GetAsync("/health")).Body);
        host.Node.Status = host.Node.Status with
        {
            NoQuorumDeadlineNs = long.MaxValue,
            LiveMembers = 1,
            LiveMembersSinceNs = 1,
        };
        using var alone = JsonDocument.Parse((await host.GetAsync("/health")).Body);

        Assert.False(alone.RootElement.GetProperty("quorum").GetBoolean());
        Assert.Equal(1, alone.RootElement.GetProperty("live_members").GetInt32());
        Assert.True(leads.RootElement.GetProperty("quorum").GetBoolean());
        Assert.True(leads.RootElement.GetProperty("may_act").GetBoolean());
        Assert.Equal(3, leads.RootElement.GetProperty("term").GetInt64());
        Assert.Equal(since, leads.RootElement.GetProperty("since").GetDateTimeOffset());
        Assert.Equal(
            JsonValueKind.Null, lost.RootElement.GetProperty("quorum").ValueKind);
        Assert.Equal(
            JsonValueKind.Null, lost.RootElement.GetProperty("may_act").ValueKind);
        Assert.False(alone.RootElement.GetProperty("may_act").GetBoolean());
        foreach (string question in (string[])["quorum", "live_members", "may_act"])
        {
            var times = new[] { leads, lost, alone }.Select(a =>
                a.RootElement.GetProperty($"{question}_since").GetDateTimeOffset()).ToArray();
            Assert.True(
                begin <= times[0] && times[0] < times[1] && times[1] < times[2]
                    && times[2] <= DateTimeOffset.UtcNow,
                $"{question}: {string.Join(' ', times)}");
        }
        Assert.Equal(0, lost.RootElement.GetProperty("leader_id").GetInt32());
    }

    [Fact]
    public async Task The_page_needs_nothing_from_elsewhere()
    {
        await using var host = await HttpHost.StartAsync();

        var (status, body) = await host.GetAsync("/");

        Assert.Equal(200, status);
        Assert.Contains("<title>pgraft</title>", body, StringComparison.Ordinal);
        Assert.DoesNotContain("http://", body, StringComparison.Ordinal);
        Assert.DoesNotContain("https://", body, StringComparison.Ordinal);
        Assert.DoesNotContain("innerHTML", body, StringComparison.Ordinal);
    }

    // Each name that the page reads is one that the node gives.
    [Fact]
    public async Task The_pages_data_have_what_the_node_says()
    {
        await using var host = await HttpHost.StartAsync();
        var other = new MemberAddress(2, "10.0.0.2", 7002);
        var joiner = new MemberAddress(3, "10.0.0.3", 7003);
        host.Node.Facts = host.Node.Facts with
        {
            Peers = [.. host.Node.Facts.Peers, new PeerView(other, null, 12) { Version = "1.1" }],
        };
        host.Node.Replication =
        [
            new FollowerProgress(2, 8, 9, true, 4, 12, "replicate")
            {
                RoundTripMs = 0.5,
                Address = other,
            },
            new FollowerProgress(3, 2, 3, true, 10, 7, "catching up") { Address = joiner },
        ];
        host.Node.Status = host.Node.Status with { LastIndex = 12, CommitIndex = 11 };

        using var json = JsonDocument.Parse((await host.GetAsync("/status.json")).Body);

        const string Members = """
            [{"node_id":1,"address":"10.0.0.1","port":7001,"is_member":true,"role":"leader",
            "is_alive":true,"last_contact_ms":null,"version":"1.0","lag":null,"match_index":null,
            "replication":null,"round_trip_ms":null},
            {"node_id":2,"address":"10.0.0.2","port":7002,"is_member":true,"role":"follower",
            "is_alive":null,"last_contact_ms":12,"version":"1.1","lag":4,"match_index":8,
            "replication":"replicate","round_trip_ms":0.5},
            {"node_id":3,"address":"10.0.0.3","port":7003,"is_member":false,
            "role":"catching up","is_alive":null,"last_contact_ms":7,"version":null,
            "lag":10,"match_index":2,"replication":"catching up","round_trip_ms":null}]
            """;
        Assert.Equal(
            Members.Replace("\n", "", StringComparison.Ordinal),
            json.RootElement.GetProperty("members").GetRawText());
        Assert.Equal(12, json.RootElement.GetProperty("log").GetProperty("last_index").GetInt64());
        Assert.Equal(
            11, json.RootElement.GetProperty("log").GetProperty("commit_index").GetInt64());
        Assert.Equal("test", json.RootElement.GetProperty("cluster_id").GetString());
        Assert.Equal(1, json.RootElement.GetProperty("node_id").GetInt32());
    }

    // Followers are not told how far others are; whom they have heard of last they know.
    [Fact]
    public async Task What_a_follower_does_not_know_of_the_others_is_null()
    {
        await using var host = await HttpHost.StartAsync();
        host.Node.Follow(2);
        var other = new MemberAddress(2, "10.0.0.2", 7002);
        host.Node.Facts = host.Node.Facts with { Peers = [new PeerView(other, true, 40)] };

        using var json = JsonDocument.Parse((await host.GetAsync("/status.json")).Body);

        var leader = json.RootElement.GetProperty("members")[0];
        Assert.Equal("leader", leader.GetProperty("role").GetString());
        Assert.Equal(40, leader.GetProperty("last_contact_ms").GetDouble());
        Assert.All(
            (string[])["lag", "match_index", "replication", "round_trip_ms", "version"],
            name => Assert.Equal(JsonValueKind.Null, leader.GetProperty(name).ValueKind));
    }

    [Theory]
    [InlineData("POST", "/metrics", 405)]
    [InlineData("DELETE", "/", 405)]
    [InlineData("GET", "/../../etc/passwd", 404)]
    [InlineData("GET", "/nothing", 404)]
    public async Task Nothing_else_is_answered(string method, string path, int expected)
    {
        await using var host = await HttpHost.StartAsync();

        string answer = host.Exchange(
            $"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        Assert.StartsWith(
            FormattableString.Invariant($"HTTP/1.1 {expected} "), answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Head_answers_without_a_body()
    {
        await using var host = await HttpHost.StartAsync();

        string answer = host.Exchange(
            "HEAD /leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n", answer, StringComparison.Ordinal);
    }

    // A defect, of which the log has a line for each request, but no more than of any event.
    [Fact]
    public async Task A_request_that_fails_is_an_answer_and_a_line_in_the_log()
    {
        await using var host = await HttpHost.StartAsync();
        var facts = host.Node.Facts;
        host.Node.Facts = null!;

        Assert.Equal((500, "internal error\n"), await host.GetAsync("/status.json"));
        var first = Assert.Single(host.Host.Log.Records, r => r.EventId == RequestFailed);
        for (int i = 0; i < LogThrottle.MaxRecords; i++)
            Assert.Equal(500, (await host.GetAsync("/status.json")).Status);

        Assert.Equal((LogLevel.Warning, "server"), (first.Level, first.Category));
        Assert.StartsWith(
            "the HTTP request for /status.json failed: ", first.Text, StringComparison.Ordinal);
        Assert.Equal(
            LogThrottle.MaxRecords, host.Host.Log.Records.Count(r => r.EventId == RequestFailed));
        host.Node.Facts = facts;
        Assert.Equal(200, (await host.GetAsync("/status.json")).Status);
    }

    private static NodeStatus InState(NodeStatus status, string state) => state switch
    {
        "leader" => status,
        "leader without lease" => status with { LeaseDeadlineNs = 1 },
        "follower" => Following(status, long.MaxValue),
        "follower of a silent leader" => Following(status, 1),
        "candidate" => Following(status, 0) with { Role = NodeRole.Candidate, LeaderId = 0 },
        "no configuration" => Following(status, 0) with { Role = NodeRole.Waiting, LeaderId = 0 },
        "passive" => Following(status, long.MaxValue) with { Role = NodeRole.Passive },
        "removed" => Following(status, long.MaxValue) with { RemovedIndex = 7 },
        _ => throw new ArgumentOutOfRangeException(nameof(state)),
    };

    private static NodeStatus Following(NodeStatus status, long deadlineNs) => status with
    {
        Role = NodeRole.Follower,
        LeaderId = 2,
        LeaseDeadlineNs = 0,
        LeaderDeadlineNs = deadlineNs,
    };
}
