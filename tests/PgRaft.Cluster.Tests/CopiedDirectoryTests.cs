// Copies of a member's pgraft.data_dir: which of them are noticed. What is not is said in
// docs/backup-and-recovery.md. A copy under another node id is in StandbyTests.
//
// Threading: the tests run one after the other, each with servers of its own.

using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class CopiedDirectoryTests : ServerTest
{
    [Fact]
    public async Task One_directory_is_not_used_by_two_servers()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var second = await NewServerAsync(1);
        second.Settings["pgraft.data_dir"] = $"'{cluster[1].PgraftDirectory}'";

        await second.StartAsync();
        await second.ExecuteAsync("CREATE EXTENSION pgraft");

        await second.WaitForStateAsync("ERROR");
        await second.WaitForLogAsync("is in use by another server");
        Assert.True(await cluster[1].PutAsync("the/original", "is unharmed"));
    }

    [Fact]
    public async Task A_copy_for_another_cluster_is_refused()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var copy = await NewServerAsync(1);
        copy.Settings["pgraft.cluster_id"] = "'another'";
        await CopyAsync(cluster[1].PgraftDirectory, copy.PgraftDirectory);

        await copy.StartAsync();
        await copy.ExecuteAsync("CREATE EXTENSION pgraft");

        await copy.WaitForStateAsync("ERROR");
        await copy.WaitForLogAsync("belongs to node 1 of cluster \"test-cluster\"");
    }

    // Copied file by file while the member ran: the term is older than the entries.
    [Fact]
    public async Task A_copy_whose_files_contradict_each_other_is_refused()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var server = cluster[1];
        var term = Path.Combine(server.PgraftDirectory, "term");
        var copied = await File.ReadAllBytesAsync(
            term, TestContext.Current.CancellationToken);
        await server.RestartAsync();
        await TestCluster.FirstWriteAsync(server, "in/a/later/term");
        await server.StopAsync();
        await File.WriteAllBytesAsync(
            term, copied, TestContext.Current.CancellationToken);

        await server.StartAsync();

        await server.WaitForStateAsync("ERROR");
        await server.WaitForLogAsync("The term file was lost or replaced by an older one");
    }

    [Fact]
    public async Task A_directory_that_was_moved_while_the_server_was_down_works()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var server = cluster[1];
        await server.PutAsync("key", "value");
        await server.StopAsync();
        var place = Path.Combine(await TestRun.NewDirectoryAsync("moved"), "data");
        await CopyAsync(server.PgraftDirectory, place);
        Directory.Delete(server.PgraftDirectory, recursive: true);
        server.Settings["pgraft.data_dir"] = $"'{place}'";

        await server.StartAsync();

        await server.WaitForStateAsync("RUNNING");
        Assert.Equal("value", await server.GetAsync("key"));
    }

    private static async Task CopyAsync(string from, string to)
    {
        // Sockets are not copied by anybody.
        await Command.RunAsync("sh", "-c", $"mkdir '{to}' && cd '{from}' && "
            + $"find . -type d -exec mkdir -p '{to}/{{}}' ';' && "
            + $"find . -type f -exec cp -p '{{}}' '{to}/{{}}' ';' && chmod -R go= '{to}'");
        await Command.GiveToServerUserAsync(to);
    }
}
