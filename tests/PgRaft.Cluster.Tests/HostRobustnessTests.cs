// What can be wrong around the worker: the core library, the data_dir, the port. Each must end in
// a clear log line and worker state and leave the server alone: a connection that was open all
// along still works.

using System.Net;
using System.Net.Sockets;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class HostRobustnessTests : ServerTest
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_missing_core_library()
    {
        var bin = await OtherCore.MakeAsync(core => Task.CompletedTask);
        var server = await NewServerAsync(binDirectory: bin);

        await EndsInErrorAsync(server, "pgraft_core\\.so");
    }

    [Theory]
    [InlineData("wrong_core.c", "core library does not fit .*size of")]
    [InlineData("missing_entry_core.c", "core library does not fit .*pgraft_core_next_log")]
    public async Task A_mismatched_core_library(string source, string logPattern)
    {
        var bin = await OtherCore.FromSourceAsync(source);
        var server = await NewServerAsync(binDirectory: bin);

        await EndsInErrorAsync(server, logPattern);
    }

    [Fact]
    public async Task A_core_library_that_is_no_library()
    {
        var bin = await OtherCore.MakeAsync(
            core => File.WriteAllTextAsync(core, "not a library"));
        var server = await NewServerAsync(binDirectory: bin);

        await EndsInErrorAsync(server, "pgraft_core\\.so");
    }

    [Fact]
    public async Task A_data_dir_that_cannot_be_made()
    {
        var server = await NewServerAsync();
        server.Settings["pgraft.data_dir"] = "'/dev/null/pgraft'";

        await EndsInErrorAsync(server, "/dev/null/pgraft");
    }

    [Fact]
    public async Task A_data_dir_that_cannot_be_written()
    {
        var server = await NewServerAsync();
        Directory.CreateDirectory(server.PgraftDirectory);
        await Command.GiveToServerUserAsync(server.PgraftDirectory);
        File.SetUnixFileMode(
            server.PgraftDirectory, UnixFileMode.UserRead | UnixFileMode.UserExecute);

        await EndsInErrorAsync(
            server, "pgraft.*(denied|not writable)|(denied|not writable).*pgraft");
    }

    [Fact]
    public async Task A_busy_port_is_taken_as_soon_as_it_is_free()
    {
        var server = await NewServerAsync();
        using var squatter = new TcpListener(IPAddress.Loopback, server.RaftPort);
        squatter.Start();

        await EndsInErrorAsync(server, $"{server.RaftPort}");
        squatter.Stop();

        await server.WaitForStateAsync("WAITING", Patience);
        Assert.True(await server.ScalarAsync<bool>("SELECT pgraft_init()"));
    }

    [Fact]
    public async Task A_full_data_dir_loses_nothing_and_recovers()
    {
        await using var disk = await SmallDisk.MountAsync();
        var cluster = await NewClusterAsync(
            1, Founding.AddNode, s => s.Settings["pgraft.data_dir"] = $"'{disk.Path}/pgraft'");
        var server = cluster[1];
        await using var survivor = await server.OpenAsync();
        var started = await survivor.ServerStartAsync();

        var written = await FillAsync(survivor);

        await server.WaitForLogAsync("(?i)no space left|disk full|full");
        Assert.Contains(
            await server.WorkerStateAsync(), (string[])["ERROR", "RUNNING", "STARTING"]);
        Assert.Equal(started, await survivor.ServerStartAsync());

        await disk.GrowAsync();
        await Poll.UntilAsync(
            "writes go on", () => server.PutAsync("after", "more room"), Patience);
        for (var i = 0; i < written; i++)
        {
            Assert.Equal(Filler(i), await server.GetAsync($"fill/{i}"));
        }

        Assert.Equal(started, await survivor.ServerStartAsync());
    }

    // Starts the server and expects: it comes up, the worker's state is ERROR, the log says why, a
    // function that needs the worker ends in an error, and no process but the worker is restarted.
    private static async Task EndsInErrorAsync(TestServer server, string logPattern)
    {
        await server.StartAsync();
        await using var survivor = await server.OpenAsync();
        var started = await survivor.ServerStartAsync();
        await survivor.ExecuteAsync("CREATE EXTENSION pgraft");

        await server.WaitForStateAsync("ERROR");
        await server.WaitForLogAsync($"(LOG|WARNING|ERROR|FATAL): .*({logPattern})");
        var error = await server.ErrorOfAsync("SELECT pgraft_kv_put('k', 'v')");

        Assert.Contains(error.SqlState, (string[])["57P03", "55000", "40001"]);
        Assert.Equal(0, await server.LeaderAsync());
        Assert.Equal(started, await survivor.ServerStartAsync());
        Assert.DoesNotContain(
            "all server processes terminated", server.Log(), StringComparison.Ordinal);
    }

    // Puts values until the disk is full; returns how many were acknowledged.
    private static async Task<int> FillAsync(NpgsqlConnection connection)
    {
        await connection.ExecuteAsync("SET pgraft.request_timeout = '3s'");
        for (var i = 0; ; i++)
        {
            Assert.True(i < 1000, "the disk never filled");
            try
            {
                Assert.True(await connection.ScalarAsync<bool>(
                    "SELECT pgraft_kv_put($1, $2)", $"fill/{i}", Filler(i)));
            }
            catch (PostgresException e)
            {
                Assert.Contains(
                    e.SqlState, (string[])["53100", "58030", "40003", "57P03", "40001"]);
                return i;
            }
        }
    }

    private static string Filler(int number)
    {
        return $"{number}:" + new string('f', 256 * 1024);
    }
}
