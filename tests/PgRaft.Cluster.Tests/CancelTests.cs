// Calls that are ended while the worker stands still, before their request is with it and after:
// the session goes on (unless it is the session that is ended), and what is said of the outcome
// is true.
//
// Threading: one test at a time, on a server of its own. Failure: a frozen worker is thawed in any
// case.

using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class CancelTests : ServerTest
{
    // More than a socket holds, so that the end of it waits for the worker.
    private const string LargePut = "SELECT pgraft_kv_put('k', repeat('x', 1500000))";
    private const string SmallPut = "SELECT pgraft_kv_put('k', 'x')";
    private const string Unknown = "unknown";

    [Theory]
    [InlineData(LargePut, Backends.StatementTimeout, false)]
    [InlineData(LargePut, "pg_cancel_backend", false)]
    [InlineData(LargePut, "pg_terminate_backend", false)]
    [InlineData(SmallPut, "pg_cancel_backend", true)]
    [InlineData(SmallPut, "pg_terminate_backend", true)]
    public async Task A_write_is_unknown_only_if_the_worker_can_have_all_of_it(
        string put, string means, bool isUnknown)
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        await using var connection = await server.OpenAsync();
        await connection.ExecuteAsync(
            "SELECT pgraft_kv_put('k', 'before'); SET pgraft.request_timeout = '60s'");
        await using (await Freezer.ProcessesAsync(server.WorkerPid))
        {
            var error = await Backends.EndedAsync(server, connection, put, means);
            Assert.Equal(means == "pg_terminate_backend" ? "57P01" : "57014", error.SqlState);
            if (isUnknown)
            {
                Assert.Contains(Unknown, error.Where, StringComparison.Ordinal);
            }
            else
            {
                Assert.DoesNotContain(Unknown, error.ToString(), StringComparison.Ordinal);
            }
        }

        // Behind whatever the worker found when it went on.
        await server.ExecuteAsync("SELECT pgraft_kv_put('later', 'v')");
        var value = await server.ScalarAsync<string>("SELECT pgraft_kv_get('k')");
        Assert.Contains(value, isUnknown ? (string[])["before", "x"] : ["before"]);
        if (means != "pg_terminate_backend")
        {
            await connection.ExecuteAsync("RESET statement_timeout");
            Assert.True(await connection.ScalarAsync<bool>("SELECT pgraft_kv_put('k', 'after')"));
        }
    }

    [Fact]
    public async Task A_write_whose_time_ran_out_before_it_was_sent_was_not_done()
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        await using (await Freezer.ProcessesAsync(server.WorkerPid))
        {
            var error = await server.ErrorOfAsync(
                $"SET pgraft.request_timeout = '100ms'; {LargePut}");
            Assert.Equal("The request was not sent, or not wholly.", error.Detail);
            Assert.Equal("It is safe to repeat it.", error.Hint);
            Assert.NotEqual("40003", error.SqlState);
        }

        await server.ExecuteAsync("SELECT pgraft_kv_put('later', 'v')");
        Assert.Null(await server.ScalarAsync<string?>("SELECT pgraft_kv_get('k')"));
        await server.ExecuteAsync(LargePut);
        Assert.Equal(1_500_000, await server.ScalarAsync<int>("SELECT length(pgraft_kv_get('k'))"));
    }

    // None of them changes what the cluster stores.
    [Theory]
    [InlineData("pgraft_log_sync_with_leader()", "pg_cancel_backend")]
    [InlineData("pgraft_log_sync_with_leader()", Backends.StatementTimeout)]
    [InlineData("pgraft_snapshot()", "pg_cancel_backend")]
    [InlineData("pgraft_snapshot()", Backends.StatementTimeout)]
    public async Task A_wait_for_the_worker_can_be_left(string call, string means)
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        await server.ExecuteAsync(SmallPut);
        await using var connection = await server.OpenAsync();
        await using (await Freezer.ProcessesAsync(server.WorkerPid))
        {
            var error = await Backends.EndedAsync(server, connection, $"SELECT {call}", means);
            Assert.Equal("57014", error.SqlState);
            Assert.DoesNotContain(Unknown, error.ToString(), StringComparison.Ordinal);
        }

        await connection.ExecuteAsync("RESET statement_timeout");
        await connection.ExecuteAsync($"SELECT {call}");
        Assert.Equal("x", await connection.ScalarAsync<string>("SELECT pgraft_kv_get('k')"));
    }

    [Fact]
    public async Task A_read_that_waits_for_its_answer_can_be_left()
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        await server.ExecuteAsync(LargePut);
        await using var connection = await server.OpenAsync();
        await using (await Freezer.ProcessesAsync(server.WorkerPid))
        {
            var error = await Backends.EndedAsync(
                server, connection, "SELECT pgraft_kv_get('k')", "pg_cancel_backend");
            Assert.Equal("57014", error.SqlState);
            Assert.DoesNotContain(Unknown, error.ToString(), StringComparison.Ordinal);
        }

        Assert.Equal(
            1_500_000, await connection.ScalarAsync<int>("SELECT length(pgraft_kv_get('k'))"));
    }
}
