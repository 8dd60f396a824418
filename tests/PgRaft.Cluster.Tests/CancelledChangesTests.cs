// Calls about the cluster itself that are ended before they are answered: changes of membership,
// backups, restoring, going on alone. The worker stands still meanwhile, so that nobody can know
// whether it has begun. The session goes on, the context says that the outcome is unknown, and what
// is there afterwards is all or nothing, with no more than repeating the call to make it all.
//
// Threading: one test at a time, each with a cluster of its own. Failure: a frozen worker is thawed
// in any case.

using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class CancelledChangesTests : ServerTest
{
    private const string Timeout = Backends.StatementTimeout;
    private const string Cancel = "pg_cancel_backend";
    private const int LargeKeys = 300;
    private const int LargeValueBytes = 200_000;

    [Theory]
    [InlineData(Timeout)]
    [InlineData(Cancel)]
    public async Task A_removal(string means)
    {
        var cluster = await NewClusterAsync(2, Founding.AddNode);

        await CutShortAsync(cluster[1], "pgraft_remove_node(2)", means);

        var members = await Members.IdsAsync(cluster[1]);
        Assert.Contains(members.Length, (int[])[1, 2]);
        Note($"{members.Length} members");
        if (members.Length == 2)
        {
            await Members.RemoveAsync(cluster[1], 2);
        }

        Assert.Equal((int[])[1], await Members.IdsAsync(cluster[1]));
        await cluster[2].WaitForStateAsync("REMOVED");
    }

    [Theory]
    [InlineData(Timeout)]
    [InlineData(Cancel)]
    public async Task A_new_address(string means)
    {
        var cluster = await NewClusterAsync(3, Founding.AddNode);
        var leader = await cluster.LeaderAsync();
        var mover = cluster.Servers.First(s => s != leader);
        await mover.StopAsync();
        var oldPort = mover.RaftPort;
        mover.Move();

        await CutShortAsync(
            leader,
            $"pgraft_update_node({mover.NodeId}, '127.0.0.1', {mover.RaftPort})",
            means);

        leader = await Members.LeaderAsync(cluster);
        var port = await leader.ScalarAsync<int>(
            "SELECT port FROM pgraft.nodes WHERE node_id = $1", mover.NodeId);
        Assert.Contains(port, (int[])[oldPort, mover.RaftPort]);
        Note(port == oldPort ? "not moved" : "moved");
        if (port == oldPort)
        {
            await Members.MoveAsync(leader, mover);
        }

        await mover.StartAsync();
        await cluster.AgreedStateAsync();
    }

    [Theory]
    [InlineData(Timeout)]
    [InlineData(Cancel)]
    public async Task A_backup(string means)
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        Assert.True(await server.PutAsync("kept", "it"));
        var directory = await TestRun.NewDirectoryAsync("backups");
        var path = Path.Combine(directory, "backup");

        await CutShortAsync(server, $"pgraft_backup('{path}')", means);

        await WholeOrNothingAsync(server, directory, path);
    }

    // The file is on its way when the call ends.
    [Fact]
    public async Task A_backup_that_is_being_written()
    {
        var server = (await NewClusterAsync(1, Founding.AddNode))[1];
        await BulkLoad.PutAsync(server, LargeKeys, LargeValueBytes);
        var directory = await TestRun.NewDirectoryAsync("backups");
        var path = Path.Combine(directory, "backup");
        await using var connection = await server.OpenAsync();
        var backend = await connection.ScalarAsync<int>("SELECT pg_backend_pid()");

        var call = connection.ExecuteAsync($"SELECT pgraft_backup('{path}')");
        await Poll.UntilAsync(
            "the file to be begun", () => Directory.EnumerateFiles(directory).Any());
        await server.ExecuteAsync($"SELECT pg_cancel_backend({backend})");
        try
        {
            await call;
            Note("it was finished");
        }
        catch (PostgresException error)
        {
            Assert.Equal("57014", error.SqlState);
        }

        await WholeOrNothingAsync(server, directory, path);
    }

    [Theory]
    [InlineData(Timeout)]
    [InlineData(Cancel)]
    public async Task A_founding(string means)
    {
        var server = await NewWaitingServerAsync();

        await CutShortAsync(server, "pgraft_init()", means, mayWrite: false);

        await UnlessDoneAsync(server, "pgraft_init()");
        await TestCluster.FirstWriteAsync(server, "founded");
        Assert.Equal((int[])[1], await Members.IdsAsync(server));
    }

    [Theory]
    [InlineData(Timeout)]
    [InlineData(Cancel)]
    public async Task A_restore(string means)
    {
        var source = (await NewClusterAsync(1, Founding.AddNode))[1];
        Assert.True(await source.PutAsync("kept", "it"));
        var path = Path.Combine(await TestRun.NewDirectoryAsync("backups"), "backup");
        await source.ExecuteAsync($"SELECT pgraft_backup('{path}')");
        var server = await NewWaitingServerAsync();

        await CutShortAsync(server, $"pgraft_restore('{path}')", means, mayWrite: false);

        await UnlessDoneAsync(server, $"pgraft_restore('{path}')");
        await Poll.UntilAsync(
            "it leads", () => server.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        Assert.Equal("it", await server.GetAsync("kept"));
    }

    [Theory]
    [InlineData(Timeout)]
    [InlineData(Cancel)]
    public async Task Going_on_alone(string means)
    {
        var cluster = await NewClusterAsync(2, Founding.AddNode);
        var survivor = cluster[1];
        Assert.True(await survivor.PutAsync("kept", "it"));
        await cluster[2].KillAsync();
        await Poll.UntilAsync("no leader", survivor.LeaderAsync, leader => leader == 0);
        const string recover = "pgraft_recover_cluster('test-cluster')";

        await CutShortAsync(survivor, recover, means, mayWrite: false);

        var members = await Members.IdsAsync(survivor);
        Note($"{members.Length} members");
        if (members.Length == 2)
        {
            await survivor.ExecuteAsync($"SELECT {recover}");
        }

        await TestCluster.FirstWriteAsync(survivor, "alone");
        Assert.Equal((int[])[1], await Members.IdsAsync(survivor));
        Assert.Equal("it", await survivor.GetAsync("kept"));
    }

    private async Task<TestServer> NewWaitingServerAsync()
    {
        var server = await NewServerAsync();
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        await server.WaitForStateAsync("WAITING");
        return server;
    }

    // Repeats a call that makes a cluster; the first may still be under way, and then is what makes
    // it.
    private static async Task UnlessDoneAsync(TestServer server, string call)
    {
        var state = await Poll.UntilAsync(
            "the worker to be up", server.WorkerStateAsync, s => s is "WAITING" or "RUNNING");
        Note($"found {state}");
        if (state == "WAITING")
        {
            try
            {
                await server.ExecuteAsync($"SELECT {call}");
            }
            catch (PostgresException error)
            {
                Assert.Equal("55000", error.SqlState);
            }
        }

        await server.WaitForStateAsync("RUNNING");
    }

    // Ends the call while the worker stands still; afterwards the same session goes on.
    private static async Task CutShortAsync(
        TestServer server, string call, string means, bool mayWrite = true)
    {
        await using var connection = await server.OpenAsync();
        await connection.ExecuteAsync("SET pgraft.request_timeout = '60s'");
        await using (await Freezer.ProcessesAsync(server.WorkerPid))
        {
            var error = await Backends.EndedAsync(server, connection, $"SELECT {call}", means);
            Assert.Equal("57014", error.SqlState);
            Assert.Contains("its outcome is unknown", error.Where, StringComparison.Ordinal);
        }

        await connection.ExecuteAsync("RESET statement_timeout");
        await AnswersAsync(connection);
        await Poll.UntilAsync(
            "the request to have ended",
            () => connection.ScalarAsync<int>("SELECT pending_msgs FROM pgraft_get_queue_status()"),
            pending => pending == 0);
        if (mayWrite)
        {
            await TestCluster.FirstWriteAsync(server, "afterwards");
        }
    }

    // The worker has gone on, and found what was there before this; a node that belongs to no
    // cluster yet answers with an error.
    private static async Task AnswersAsync(NpgsqlConnection connection)
    {
        try
        {
            await connection.ExecuteAsync("SELECT pgraft_kv_get('kept', 'local')");
        }
        catch (PostgresException error)
        {
            Assert.Equal("55000", error.SqlState);
        }
    }

    private static async Task WholeOrNothingAsync(
        TestServer server, string directory, string path)
    {
        var left = await Poll.UntilAsync(
            "nothing unfinished",
            () => Task.FromResult(Directory.GetFiles(directory)),
            files => files.All(f => f == path));
        Note(left.Length == 0 ? "no file" : "a whole file");
        if (left.Length == 0)
        {
            await server.ExecuteAsync($"SELECT pgraft_backup('{path}')");
        }

        Assert.Equal(
            "test-cluster",
            await server.ScalarAsync<string>(
                $"SELECT cluster_id FROM pgraft_backup_info('{path}')"));
    }
}
