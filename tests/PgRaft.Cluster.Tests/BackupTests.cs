// Backups on real servers: they hold what was acknowledged before the call, on whichever member;
// what cannot be restored is refused; a disk without room and a kill in the middle leave nothing
// half done. The procedures as a whole are executed from docs/backup-and-recovery.md.
//
// Threading: the tests run one after the other, each with servers of its own.

using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class BackupTests : ServerTest
{
    private const int LargeKeys = 300;
    private const int LargeValueBytes = 200_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_backup_taken_on_any_member_under_load_has_what_was_acknowledged_before_it()
    {
        var cluster = await NewClusterAsync(3, Founding.AddNode);
        var directory = await TestRun.NewDirectoryAsync("backups");
        var taken = new List<(string Path, long Index, string[] Keys)>();
        await using var load = await WriteLoad.StartAsync(cluster.Servers);
        foreach (var server in cluster.Servers)
        {
            var path = Path.Combine(directory, $"by-{server.NodeId}");
            var keys = load.AcknowledgedKeys();
            taken.Add((path, await BackupAsync(server, path), keys));
        }

        await load.StopAsync();
        Assert.Equal(taken.Select(t => t.Index).Order(), taken.Select(t => t.Index));
        foreach (var (path, index, keys) in taken)
        {
            Assert.True(keys.Length >= 100, $"only {keys.Length} puts before the backup");
            var restored = await WaitingServerAsync();
            await RestoreAsync(restored, path);
            Assert.Empty(await load.LostOnAsync(restored, "local", keys));
            Assert.Equal(
                index,
                await restored.ScalarAsync<long>("SELECT snapshot_index FROM pgraft.log_stats"));
            await SameStateAsync(restored, path);
            await restored.StopAsync();
        }
    }

    [Fact]
    public async Task A_backup_that_does_not_fit_leaves_nothing_behind()
    {
        await using var disk = await SmallDisk.MountAsync();
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        await BulkLoad.PutAsync(cluster[1], LargeKeys, LargeValueBytes);
        var path = Path.Combine(disk.Path, "backup");

        var error = await cluster[1].ErrorOfAsync($"{Patient}SELECT pgraft_backup('{path}')");

        Assert.Equal("53100", error.SqlState);
        Assert.Contains(path, error.MessageText, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(disk.Path));
        Assert.True(await cluster[1].PutAsync("after", "it"));
        await disk.GrowAsync();
        await BackupAsync(cluster[1], path);
    }

    [Fact]
    public async Task A_backup_that_is_damaged_or_foreign_is_refused_and_the_node_goes_on_waiting()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        await cluster[1].PutAsync("key", "value");
        var directory = await TestRun.NewDirectoryAsync("backups");
        var good = Path.Combine(directory, "good");
        await BackupAsync(cluster[1], good);
        var server = await WaitingServerAsync();
        var bytes = await File.ReadAllBytesAsync(
            good, TestContext.Current.CancellationToken);
        var flipped = bytes.ToArray();
        flipped[bytes.Length / 2] ^= 1;
        var before = FilesOf(server);

        await RefusedAsync(server, await PutFileAsync("flipped", flipped), "is damaged at offset");
        await RefusedAsync(server, await PutFileAsync("cut", bytes[..^1]), "is damaged at offset");
        await RefusedAsync(server, await PutFileAsync("text", [.. "# not one"u8]), "is damaged");
        await RefusedAsync(server, Path.Combine(directory, "missing"), "No such file");
        var foreign = await WaitingServerAsync(s => s.Settings["pgraft.cluster_id"] = "'other'");
        await RefusedAsync(foreign, good, "is of cluster \"test-cluster\"");
        Assert.Equal(before, FilesOf(server));

        await RestoreAsync(server, good);
        Assert.Equal("value", await server.GetAsync("key"));
        await RefusedAsync(server, good, "already belongs to a cluster", "55000", "RUNNING");
    }

    [Fact]
    public async Task A_server_killed_while_it_restores_has_nothing_or_everything()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        await BulkLoad.PutAsync(cluster[1], LargeKeys, LargeValueBytes);
        var path = Path.Combine(await TestRun.NewDirectoryAsync("backups"), "large");
        await BackupAsync(cluster[1], path);
        var server = await WaitingServerAsync();

        var restoring = RestoreAsync(server, path);
        await Poll.UntilAsync(
            "the restored snapshot to be written",
            () => Directory.EnumerateFiles(server.PgraftDirectory, "*.snap*").Any());
        await server.KillAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => restoring);
        await server.StartAsync();

        var state = await Poll.UntilAsync(
            "the worker to be up", server.WorkerStateAsync, s => s is "WAITING" or "RUNNING");
        Note($"found {state}");
        if (state == "WAITING")
        {
            Assert.DoesNotContain(
                FilesOf(server), f => f.EndsWith(".snap", StringComparison.Ordinal));
            await RestoreAsync(server, path);
        }

        await Poll.UntilAsync(
            "it leads", () => server.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        await SameStateAsync(server, path);
    }

    [Fact]
    public async Task A_restored_cluster_and_the_one_it_came_from_refuse_each_other()
    {
        var cluster = await NewClusterAsync(2, Founding.AddNode);
        var path = Path.Combine(await TestRun.NewDirectoryAsync("backups"), "backup");
        await BackupAsync(cluster[1], path);
        var term = await cluster[1].ScalarAsync<long>("SELECT pgraft_get_term()");
        var restored = await WaitingServerAsync();
        await RestoreAsync(restored, path);
        Assert.True(
            await restored.ScalarAsync<long>("SELECT pgraft_get_term()") > term + 1000);

        var error = await restored.ErrorOfAsync(
            "SET pgraft.request_timeout = '1s'; "
            + $"SELECT pgraft_add_node(2, '127.0.0.1', {cluster[2].RaftPort})");

        Assert.Contains("separate clusters", error.Detail, StringComparison.Ordinal);
        Assert.True(await cluster[1].PutAsync("the/original", "is unharmed"));
        Assert.True(await restored.PutAsync("the/other", "too"));
    }

    private static string Patient => "SET pgraft.request_timeout = '60s'; ";

    private static async Task<long> BackupAsync(TestServer server, string path)
    {
        await using var connection = await server.OpenAsync();
        await connection.ExecuteAsync(Patient);
        return await connection.ScalarAsync<long>("SELECT pgraft_backup($1)", path);
    }

    private static async Task RestoreAsync(TestServer server, string path)
    {
        await using var connection = await server.OpenAsync();
        await connection.ExecuteAsync(Patient);
        Assert.True(await connection.ScalarAsync<bool>("SELECT pgraft_restore($1)", path));
    }

    // Nothing was written since.
    private static async Task SameStateAsync(TestServer server, string path)
    {
        var rows = await server.RowsAsync(
            "SELECT b.revision = e.revision, b.state_hash = e.state_hash "
            + $"FROM pgraft_backup_info('{path}') b, pgraft.endpoint_status e");
        Assert.Equal(["True|True"], rows);
    }

    private async Task<TestServer> WaitingServerAsync(Action<TestServer>? configure = null)
    {
        var server = await NewServerAsync();
        configure?.Invoke(server);
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        await server.WaitForStateAsync("WAITING", Patience);
        return server;
    }

    private static async Task RefusedAsync(
        TestServer server, string path, string reason, string sqlState = "22023",
        string stateAfterwards = "WAITING")
    {
        var error = await server.ErrorOfAsync($"SELECT pgraft_restore('{path}')");
        Assert.Equal(sqlState, error.SqlState);
        Assert.Contains(reason, error.MessageText, StringComparison.Ordinal);
        Assert.Equal(stateAfterwards, await server.WorkerStateAsync());
    }

    private static async Task<string> PutFileAsync(string name, byte[] content)
    {
        var path = Path.Combine(await TestRun.NewDirectoryAsync("backups"), name);
        await File.WriteAllBytesAsync(path, content);
        await Command.GiveToServerUserAsync(path);
        return path;
    }

    private static string[] FilesOf(TestServer server)
    {
        return [.. Directory.EnumerateFiles(
            server.PgraftDirectory, "*", SearchOption.AllDirectories).Order()];
    }
}
