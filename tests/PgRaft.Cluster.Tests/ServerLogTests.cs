// What pgraft writes into the logs of real servers: the events that docs/monitoring.md lists, in
// the words and at the levels that it gives; debug lines while somebody wants them; and no line
// that somebody else has made.

using System.Globalization;
using System.Text.RegularExpressions;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class ServerLogTests : ServerTest
{
    // Of a leader that is founded, loses its followers and gets them back.
    private static readonly int[] Life =
        [101, 111, 112, 114, 115, 121, 122, 201, 202, 2000, 2001, 2050, 2051];

    // Of a follower that is stopped and started.
    private static readonly int[] FollowersLife = [101, 116, 2000, 2001, 2004, 2050];

    [Fact]
    public async Task A_life_is_logged_as_documented()
    {
        var cluster = await NewClusterAsync(3, Founding.AddNode, s => HttpPort.Open(s));
        var first = await cluster.LeaderAsync();
        var others = cluster.Servers.Where(s => s != first).ToArray();
        var term = await first.ScalarAsync<long>("SELECT pgraft_get_term()");
        first.Settings["pgraft.metrics_enabled"] = "off";
        await first.ReloadAsync();
        await first.WaitForLogAsync("serving no HTTP");

        await Task.WhenAll(others.Select(s => s.StopAsync()));
        await first.WaitForLogAsync("election timeout");
        await Task.WhenAll(others.Select(s => s.StartAsync()));
        await cluster.LeaderAsync();
        await Poll.UntilAsync(
            "both connections are restored",
            () => LogEvents.Of(first).Count(e => e.Id == 202) >= 2);

        AssertDocumented(cluster);
        AssertHas(first, Life);
        Assert.All(others, s => AssertHas(s, FollowersLife));
        AssertSays(first, 2000, "server: node 1 of cluster test-cluster is starting, pgraft 1.0");
        AssertSays(first, 101, $"raft: node 1 started, listening on 127.0.0.1:{first.RaftPort} for "
            + "peers that dial 127.0.0.1, term 0, log up to index 0");
        AssertSays(first, 121, "raft: cluster \"test-cluster\" founded by node 1");
        AssertSays(first, 122, $"raft: node 3 at 127.0.0.1:{cluster[3].RaftPort} added: 3 members");
        AssertSays(first, 115, "raft: node 1 failed to replicate to a majority: 1 of 3 members "
            + $"answer; leadership of term {term} is given up");
        AssertSays(first, 112, $"raft: node 1 lost leadership of term {term}: "
            + "a majority of the members did not answer");
    }

    [Fact]
    public async Task Debug_lines_come_while_they_are_asked_for_and_no_longer()
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        var unasked = await SnapshotAsync(server);
        await server.ExecuteAsync("SELECT pgraft_set_debug(true)");
        var asked = await SnapshotAsync(server);
        await server.WaitForLogAsync(WroteSnapshot(asked));
        await server.ExecuteAsync("SELECT pgraft_set_debug(false)");
        var notAnyMore = await SnapshotAsync(server);
        await server.ExecuteAsync("SELECT pgraft_set_debug(true)");
        var askedAgain = await SnapshotAsync(server);

        // The log is written in order: what came before this is there.
        await server.WaitForLogAsync(WroteSnapshot(askedAgain));
        Assert.DoesNotMatch(WroteSnapshot(unasked), server.Log());
        Assert.DoesNotMatch(WroteSnapshot(notAnyMore), server.Log());

        // The next worker debugs from its start on; that of the next server does not.
        await Command.RunAsync("kill", "-TERM", $"{server.WorkerPid}");
        Assert.Matches(
            "LOG:  pgraft: \\[2010\\] debug: server: accepting requests at .*/pgraft\\.sock\n",
            await LogOfStartAsync(server, 2));
        await server.RestartAsync();
        Assert.DoesNotContain(
            "debug:", await LogOfStartAsync(server, 3), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pgraft_monitor", "42501")]
    [InlineData("pgraft_admin", null)]
    public async Task Debugging_is_for_administrators(string role, string? error)
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        var call = $"SET ROLE {role}; SELECT pgraft_set_debug(true)";

        if (error is null)
        {
            await server.ExecuteAsync(call);
        }
        else
        {
            Assert.Equal(error, (await server.ErrorOfAsync(call)).SqlState);
        }

        var index = await SnapshotAsync(server);
        await server.ExecuteAsync("SELECT pgraft_set_debug(true)");
        await server.WaitForLogAsync(WroteSnapshot(await SnapshotAsync(server)));
        Assert.Equal(error is null, Regex.IsMatch(server.Log(), WroteSnapshot(index)));
    }

    [Fact]
    public async Task Who_connects_to_the_peer_port_writes_no_line_of_its_own()
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        const string Line = "2026-11-29 08:00:00.000 UTC [1] pgraft cluster worker LOG:  pgraft: "
            + "[111] raft: node 9 elected leader in term 99";

        using var peer = await ForgedPeer.ConnectAsync(
            server, $"forged\r\n{Line}\u001b[2J", founding: 0);

        Assert.False(peer.IsAccepted);
        await server.WaitForLogAsync("refused a connection");
        var refusal = Assert.Single(LogEvents.Of(server), e => e.Id == 203);
        Assert.Matches(
            "^raft: refused a connection from 127\\.0\\.0\\.1:[0-9]+: node 2 belongs to cluster "
            + $"\"forged {Regex.Escape(Line)} \\[2J\", node 1 to \"test-cluster\" ",
            refusal.Text);
        Assert.Single(LogEvents.Of(server), e => e.Id == 111);
    }

    private static void AssertDocumented(TestCluster cluster)
    {
        var table = EventTable.Read(TestRun.Top);
        Assert.All(cluster.Servers.SelectMany(s => LogEvents.Of(s)), e => Assert.Single(
            table, row => row.Fits(e.Level, e.Id, e.Text)));
    }

    private static void AssertHas(TestServer server, int[] ids)
    {
        Assert.Empty(ids.Except(LogEvents.Of(server).Select(e => e.Id)));
    }

    private static void AssertSays(TestServer server, int id, string text)
    {
        Assert.Contains(
            text, LogEvents.Of(server).Where(e => e.Id == id).Select(e => e.Text));
    }

    // What the log says from a worker's start, counted from 1, to the end of that start.
    private static async Task<string> LogOfStartAsync(TestServer server, int number)
    {
        var log = await Poll.UntilAsync(
            $"start {number} of the worker",
            () => Task.FromResult(server.Log().Split("pgraft: [2000]")),
            parts => parts.Length > number
                && parts[number].Contains("pgraft: [2001]", StringComparison.Ordinal));
        return log[number];
    }

    // Its log index.
    private static async Task<long> SnapshotAsync(TestServer server)
    {
        Assert.True(await server.PutAsync("one", "more"));
        return await server.ScalarAsync<long>("SELECT pgraft_snapshot()");
    }

    private static string WroteSnapshot(long index)
    {
        return string.Create(
            CultureInfo.InvariantCulture,
            $"LOG:  pgraft: \\[302\\] debug: raft: wrote a snapshot at log index {index} in ");
    }
}
