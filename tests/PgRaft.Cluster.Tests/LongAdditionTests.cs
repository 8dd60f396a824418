// Additions that take longer than pgraft.request_timeout: they go on as long as the new member gets
// further, say how far it is, and leave nothing behind when they are given up.
//
// Threading: the tests run one after the other, each with a cluster of its own, whose log is long
// and goes over to a new member entry by entry.

using System.Collections.Concurrent;
using System.Diagnostics;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class LongAdditionTests : ServerTest
{
    private const int Entries = 30_000;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task An_addition_goes_on_while_it_gets_further_and_says_how_far()
    {
        var (cluster, leader, joiner) = await LongLogAsync();
        var notices = new ConcurrentQueue<PostgresNotice>();
        await using var session = await leader.OpenAsync();
        session.Notice += (_, e) => notices.Enqueue(e.Notice);
        await session.ExecuteAsync("SET pgraft.request_timeout = '1500ms'");

        var clock = Stopwatch.StartNew();
        var adding = session.ScalarAsync<bool>(Add(joiner));
        var row = await RowOfJoinerAsync(leader, "AND match_index > 100");
        var later = await RowOfJoinerAsync(leader, $"AND match_index > {row.Match}");
        Assert.True(row.Lag > later.Lag, $"{row}, {later}");
        Assert.Equal(1, Assert.Single(await Members.IdsAsync(leader)));
        Assert.True(await adding);

        Note($"{clock.Elapsed.TotalSeconds:0.0} s: {string.Join(" | ", notices.Select(Text))}");

        // Twice the time that it would have without getting further.
        Assert.True(clock.Elapsed > TimeSpan.FromSeconds(3), $"{clock.Elapsed}: too quick to tell");
        var words = notices.Where(n => Text(n).Contains("catches up", StringComparison.Ordinal));
        Assert.NotEmpty(words);
        Assert.All(words, n =>
        {
            Assert.Equal("NOTICE", n.Severity);
            Assert.Matches(@"^pgraft: node 2 catches up: log index \d+ of \d+$", n.MessageText);
            Assert.Null(n.Where);
        });
        Assert.InRange(words.Count(), 1, 1 + (clock.Elapsed.TotalSeconds / 3));
        Assert.Equal(["2|replicate"], await Members.ReplicationAsync(leader));
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task An_addition_that_is_given_up_leaves_nothing_behind()
    {
        var (cluster, leader, joiner) = await LongLogAsync();
        await CancelledAsync(leader, joiner);
        await NothingIsLeftAsync(leader, joiner);
        await TimedOutAsync(leader, joiner);
        await NothingIsLeftAsync(leader, joiner);
        await ClosedAsync(leader, joiner);
        await NothingIsLeftAsync(leader, joiner);

        // The next works at once, also of another node.
        var other = await cluster.AddServerAsync(3);
        await other.WaitForStateAsync("WAITING");
        leader.Settings["pgraft.batch_size"] = "1000";
        await leader.ReloadAsync();
        await Members.AddAsync(leader, other);
        await Members.AddAsync(leader, joiner);
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task A_second_change_is_refused_while_the_first_is_under_way()
    {
        var (cluster, leader, joiner) = await LongLogAsync(others: 1);
        await using var session = await leader.OpenAsync();
        var adding = session.ScalarAsync<bool>(Add(joiner));
        await RowOfJoinerAsync(leader);

        foreach (var second in (string[])
        [
            Add(joiner), "SELECT pgraft_add_node(4, '127.0.0.1', 7003)",
            "SELECT pgraft_update_node(1, '127.0.0.1', 7003)",
            "SELECT pgraft_remove_node(3)", "SELECT pgraft_remove_node(1)",
            "SELECT pgraft_transfer_leadership(3)",
        ])
        {
            var error = await leader.ErrorOfAsync(second);
            Assert.Equal("55000", error.SqlState);
            Assert.Equal(
                "pgraft: another membership change is in progress", error.MessageText);
            Assert.Equal("This leader is adding node 2.", error.Detail);
            Assert.StartsWith("Wait until it has finished", error.Hint, StringComparison.Ordinal);
            Assert.Equal((int[])[1, 3], await Members.IdsAsync(leader));
        }

        // A member that does not lead says who does, whatever is under way.
        var elsewhere = await cluster[3].ErrorOfAsync("SELECT pgraft_remove_node(1)");
        Assert.Equal("55000", elsewhere.SqlState);
        Assert.Contains("node 1 at", elsewhere.Hint, StringComparison.Ordinal);

        // The refusals have cost the first nothing, and the next is free to go.
        Assert.True(await adding);
        Assert.Equal((int[])[1, 2, 3], await Members.IdsAsync(leader));
        await Members.RemoveAsync(leader, 3);
        Assert.Equal((int[])[1, 2], await Members.IdsAsync(leader));
        await cluster[3].WaitForStateAsync("REMOVED");
        await cluster[3].StopAsync();
        await cluster.AgreedStateAsync();
    }

    [Fact]
    public async Task An_addition_that_stands_still_ends_in_time()
    {
        var (_, leader, joiner) = await LongLogAsync();
        await using var session = await leader.OpenAsync();
        await session.ExecuteAsync("SET pgraft.request_timeout = '1s'");
        var adding = Assert.ThrowsAsync<PostgresException>(
            () => session.ScalarAsync<bool>(Add(joiner)));
        await RowOfJoinerAsync(leader);
        await using var frozen = await Freezer.ProcessesAsync(joiner.WorkerPid);

        var clock = Stopwatch.StartNew();
        var error = await adding;

        Assert.Equal("40001", error.SqlState);
        Assert.InRange(clock.Elapsed, TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(5));
        await frozen.ThawAsync();
        await NothingIsLeftAsync(leader, joiner);
    }

    // Of node 1, and node 3 if there is to be another. It goes to node 2 entry by entry.
    private async Task<(TestCluster Cluster, TestServer Leader, TestServer Joiner)> LongLogAsync(
        int others = 0)
    {
        var cluster = await NewClusterAsync(
            1, Founding.AddNode, s => s.Settings["pgraft.snapshot_interval"] = "1000000");
        var leader = cluster[1];
        for (var id = 3; id < 3 + others; id++)
        {
            await Members.NewAsync(cluster, id);
        }

        await BulkLoad.PutAsync(leader, Entries, 10);
        leader.Settings["pgraft.batch_size"] = "1";
        await leader.ReloadAsync();
        var joiner = await cluster.AddServerAsync(2);
        await joiner.WaitForStateAsync("WAITING");
        return (cluster, leader, joiner);
    }

    private static async Task CancelledAsync(TestServer leader, TestServer joiner)
    {
        await using var session = await leader.OpenAsync();
        var backend = await session.ScalarAsync<int>("SELECT pg_backend_pid()");
        var adding = Assert.ThrowsAsync<PostgresException>(
            () => session.ScalarAsync<bool>(Add(joiner)));
        await RowOfJoinerAsync(leader);

        Assert.True(await leader.ScalarAsync<bool>("SELECT pg_cancel_backend($1)", backend));

        Assert.Equal("57014", (await adding).SqlState);
        Assert.Equal(1, await session.ScalarAsync<int>("SELECT 1"));
    }

    private static async Task TimedOutAsync(TestServer leader, TestServer joiner)
    {
        var error = await leader.ErrorOfAsync($"SET statement_timeout = '700ms'; {Add(joiner)}");
        Assert.Equal("57014", error.SqlState);
    }

    private static async Task ClosedAsync(TestServer leader, TestServer joiner)
    {
        await using var session = await leader.OpenAsync();
        var backend = await session.ScalarAsync<int>("SELECT pg_backend_pid()");
        var adding = Assert.ThrowsAnyAsync<NpgsqlException>(
            () => session.ScalarAsync<bool>(Add(joiner)));
        await RowOfJoinerAsync(leader);

        Assert.True(await leader.ScalarAsync<bool>("SELECT pg_terminate_backend($1)", backend));

        await adding;
    }

    // The request is known to have ended in the core when it is not counted any more.
    private static async Task NothingIsLeftAsync(TestServer leader, TestServer joiner)
    {
        await Poll.UntilAsync(
            "no request under way",
            () => leader.ScalarAsync<int>("SELECT pending_msgs FROM pgraft_get_queue_status()"),
            pending => pending == 0);
        Assert.Empty(await Members.ReplicationAsync(leader));
        Assert.Equal(1, Assert.Single(await Members.IdsAsync(leader)));
        Assert.NotEqual("follower", await joiner.RoleAsync());
        Assert.True(await leader.PutAsync("still", "writable"));
    }

    private static async Task<(long Match, long Lag)> RowOfJoinerAsync(
        TestServer leader, string condition = "")
    {
        var rows = await Poll.UntilAsync(
            "a row for the joiner",
            () => leader.RowsAsync(
                "SELECT match_index, lag FROM pgraft.replication "
                + $"WHERE node_id = 2 AND state = 'catching up' AND is_active {condition}"),
            found => found.Count == 1,
            Patience);
        var values = rows[0].Split('|').Select(long.Parse).ToArray();
        return (values[0], values[1]);
    }

    private static string Add(TestServer joiner)
    {
        return FormattableString.Invariant(
            $"SELECT pgraft_add_node({joiner.NodeId}, '127.0.0.1', {joiner.RaftPort})");
    }

    private static string Text(PostgresNotice notice)
    {
        return notice.MessageText;
    }
}
