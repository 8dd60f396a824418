// The three questions of a failover manager on real servers: is there a quorum, who is alive, may
// this member act. In SQL and over HTTP the answers are the same, and each is that since the moment
// at which it became that: not before it was last seen otherwise, nor after it was first seen.
//
// Threading: one test at a time, each with servers of its own. Failure: as the test's own.

using System.Globalization;
using System.Text.Json;
using PgRaft.Cluster.Tests.Columns;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class FailoverQuestionsTests : ServerTest
{
    private const string Answers = "SELECT concat_ws('|', coalesce(quorum::text, '-'), "
        + "coalesce(live_members::text, '-'), coalesce(may_act::text, '-')) FROM pgraft.health";

    private const string Json = "SELECT pgraft_health_check()::text";

    private const string AnswersAndTimes = "SELECT concat_ws('|', replace(h->>'quorum', 'unknown', "
        + "'-'), coalesce(h->>'live_members', '-'), replace(h->>'may_act', 'unknown', '-')) "
        + "|| ' ' || h FROM pgraft_health_check() h";

    private static readonly string[] Fields =
    [
        "healthy", "worker", "is_leader", "leader_id", "term", "quorum", "quorum_since",
        "live_members", "live_members_since", "may_act", "may_act_since",
    ];

    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };
    private readonly Dictionary<int, int> _ports = [];

    [Fact]
    [ValuesOf("pgraft.health", "quorum_since", "may_act", "may_act_since", "live_members_since")]
    [ValuesOf(
        "pgraft_health_check", "quorum_since", "may_act", "may_act_since", "live_members_since")]
    [ValuesOf("pgraft.endpoint_health", "alive_since")]
    public async Task Sql_and_http_say_the_same_and_since_moves_with_what_happens()
    {
        var begin = DateTime.UtcNow;
        var cluster = await NewClusterAsync(
            3, Founding.InitialCluster, server => _ports[server.NodeId] = HttpPort.Open(server));
        var first = await cluster.LeaderAsync();
        foreach (var server in cluster.Servers)
        {
            await SaysAsync(server, server == first ? "true|3|true" : "true|-|false");
            await AgreeAsync(server, begin);
        }

        // Those who follow know that there is a new leader since there is one.
        var killed = DateTime.UtcNow;
        await first.KillAsync();
        var second = await cluster.LeaderAsync();
        var third = cluster.Running().Single(s => s != second);
        await SaysAsync(second, "true|2|true");
        await SaysAsync(third, "true|-|false");
        await AgreeAsync(second, killed);
        await AgreeAsync(third, killed, except: "live_members_since");
        Assert.True(await SinceAsync(third, "live_members") < killed, "it asked nobody before");
        await DeadSinceAsync(second, first, killed, third);

        var lost = await BecomesAsync(
            second, "false|1|false", () => third.KillAsync(),
            "quorum", "live_members", "may_act");
        Assert.Equal(lost["quorum"], lost["may_act"]);
        await AgreeAsync(second, killed);
    }

    // Nobody is there to say that the lease has ended: the answer is another since it has.
    [Fact]
    public async Task A_frozen_leader_may_act_until_its_lease_ends_and_then_that_is_not_known()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var leader = await cluster.LeaderAsync();
        await SaysAsync(leader, "true|3|true");
        var worker = leader.WorkerPid;
        Freezer? frozen = null;
        var ended = await BecomesAsync(
            leader, "-|-|-", async () => frozen = await Freezer.ProcessesAsync(worker),
            "quorum", "live_members", "may_act");
        Assert.Single(ended.Values.Distinct());
        Assert.Equal(ended["may_act"], await SinceAsync(leader, "may_act"));
        Assert.Contains(
            "\"may_act\":\"unknown\"", await leader.ScalarAsync<string>(Json),
            StringComparison.Ordinal);

        var thawed = DateTime.UtcNow;
        await frozen!.DisposeAsync();
        await cluster.LeaderAsync();
        await Poll.UntilAsync(
            "it knows again",
            () => leader.ScalarAsync<bool>("SELECT may_act IS NOT NULL FROM pgraft.health"));
        Assert.InRange(await SinceAsync(leader, "may_act"), thawed, DateTime.UtcNow);
    }

    // The worker's end and its beginning are moments, too.
    [Fact]
    public async Task A_worker_that_ended_may_not_act_since_it_has()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var server = cluster[1];
        await SaysAsync(server, "true|1|true");
        var led = await SinceAsync(server, "may_act");

        var ended = await BecomesAsync(
            server, "-|-|false",
            () => Command.RunAsync("kill", "-TERM", $"{server.WorkerPid}"),
            "quorum", "live_members", "may_act");
        await SaysAsync(server, "true|1|true");
        var leads = await SinceAsync(server, "may_act");
        Assert.True(led < ended["may_act"] && ended["may_act"] < leads, $"{led} {leads}");

        // With it all of shared memory: what was before nobody knows any more.
        var killed = DateTime.UtcNow;
        ServerProcesses.Kill(server.WorkerPid);
        await Poll.UntilAsync("the server is back", () => server.ScalarAsync<bool>("SELECT true"));
        await SaysAsync(server, "true|1|true");
        Assert.InRange(await SinceAsync(server, "may_act"), killed, DateTime.UtcNow);

        // It cannot start: the port is PostgreSQL's own. That there is no quorum is not known.
        await server.StopAsync();
        server.Settings["pgraft.port"] = server.Port.ToString(CultureInfo.InvariantCulture);
        var started = DateTime.UtcNow;
        await server.StartAsync();
        await server.WaitForStateAsync("ERROR");
        await SaysAsync(server, "-|-|false");
        var failed = await SinceAsync(server, "may_act");
        Assert.InRange(failed, started, DateTime.UtcNow);
        Assert.InRange(await SinceAsync(server, "quorum"), started, failed);
    }

    // Until then it is asked over and over: a change was after the last answer that was another.
    // All is of one row, for another change may follow.
    private static async Task<Dictionary<string, DateTime>> BecomesAsync(
        TestServer server, string answers, Func<Task> change, params string[] questions)
    {
        await using var connection = await server.OpenAsync();
        var before = DateTime.UtcNow;
        var other = before;
        await change();
        var row = await Poll.UntilAsync(
            $"node {server.NodeId} says {answers}",
            async () =>
            {
                var asked = DateTime.UtcNow;
                var said = await connection.ScalarAsync<string>(AnswersAndTimes);
                other = said.StartsWith(answers + " ", StringComparison.Ordinal) ? other : asked;
                return said;
            },
            said => said.StartsWith(answers + " ", StringComparison.Ordinal));
        var seen = DateTime.UtcNow;
        var since = questions.ToDictionary(q => q, q => TimeIn(row, q));
        Assert.All(since.Values, at => Assert.InRange(at, before, seen));
        Note($"{row}, otherwise at {other:O}, seen {seen:O}");
        Assert.True(since.Values.Max() >= other, "the last to change made it so");
        return since;
    }

    // The answers, then the whole of pgraft_health_check().
    private static DateTime TimeIn(string row, string question)
    {
        using var health = JsonDocument.Parse(row[row.IndexOf('{', StringComparison.Ordinal)..]);
        return health.RootElement.GetProperty($"{question}_since").GetDateTime().ToUniversalTime();
    }

    private static Task<DateTime> SinceAsync(TestServer server, string question) =>
        server.ScalarAsync<DateTime>($"SELECT {question}_since FROM pgraft.health");

    private static Task<string> SaysAsync(TestServer server, string answers) => Poll.UntilAsync(
        $"node {server.NodeId} says {answers}",
        () => server.ScalarAsync<string>(Answers), said => said == answers);

    // Once more if something happened in between.
    private async Task AgreeAsync(TestServer server, DateTime notBefore, string except = "")
    {
        var uri = new Uri($"http://127.0.0.1:{_ports[server.NodeId]}/health");
        var said = await Poll.UntilAsync(
            $"SQL and HTTP of node {server.NodeId} agree",
            async () =>
            {
                using var answer = await Http.GetAsync(
                    uri, TestContext.Current.CancellationToken);
                return (Http: FieldsOf(await answer.Content.ReadAsStringAsync(
                        TestContext.Current.CancellationToken)),
                    Sql: FieldsOf(await server.ScalarAsync<string>(Json)));
            },
            said => said.Http.SequenceEqual(said.Sql));
        Note($"node {server.NodeId}: {string.Join(' ', said.Sql)}");
        foreach (var (name, value) in Fields.Zip(said.Sql))
        {
            if (name.EndsWith("_since", StringComparison.Ordinal) && name != except)
            {
                var since = DateTime.Parse(
                    value, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal);
                Assert.InRange(since, notBefore, DateTime.UtcNow);
            }
        }
    }

    // HTTP has null for what is not known.
    private static string[] FieldsOf(string json)
    {
        using var document = JsonDocument.Parse(json);
        return [.. Fields
            .Select(name => document.RootElement.GetProperty(name).GetRawText().Trim('"'))
            .Select(value => value == "unknown" ? "null" : value)];
    }

    private static async Task DeadSinceAsync(
        TestServer leader, TestServer dead, DateTime killed, TestServer alive)
    {
        var since = await Poll.UntilAsync(
            "the dead member is known to be dead",
            () => leader.RowsAsync(
                "SELECT (extract(epoch FROM alive_since) * 1000)::bigint "
                + $"FROM pgraft.endpoint_health WHERE node_id = {dead.NodeId} AND NOT is_alive"),
            rows => rows.Count == 1);
        var at = DateTimeOffset
            .FromUnixTimeMilliseconds(long.Parse(since[0], CultureInfo.InvariantCulture));
        Assert.InRange(at.UtcDateTime, killed, DateTime.UtcNow);
        Assert.Equal(
            "True|True",
            Assert.Single(await leader.RowsAsync(
                "SELECT bool_and(is_alive), bool_and(alive_since < now() AND alive_since >= "
                + $"pg_postmaster_start_time()) FROM pgraft.endpoint_health WHERE node_id IN "
                + $"({alive.NodeId}, {leader.NodeId})")));
    }
}
