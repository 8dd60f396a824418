// Copies of a member's pgraft.data_dir: which of them are noticed. What is not is said in
// docs/backup-and-recovery.md. A copy under another node id is in StandbyTests.
//
// Threading: the tests run one after the other, each with servers of its own.

using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

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

    // Nobody has forgotten anything that another remembers.
    [Fact]
    public async Task Copies_of_all_stopped_members_put_back_on_all_are_the_cluster_of_then()
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        await using var load = await WriteLoad.StartAsync(cluster.Servers);
        await load.StopAsync();
        var then = Content(await cluster.AgreedStateAsync());
        var copies = new Dictionary<TestServer, string>();
        await StopAllAsync(cluster);
        foreach (var server in cluster.Servers)
        {
            var copy = Path.Combine(await TestRun.NewDirectoryAsync("copy"), "data");
            await CopyAsync(server.PgraftDirectory, copy);
            copies[server] = copy;
        }

        await StartAllAsync(cluster);
        Assert.True(await (await cluster.LeaderAsync()).PutAsync("after", "the copies"));
        Assert.NotEqual(then, Content(await cluster.AgreedStateAsync()));
        await StopAllAsync(cluster);
        foreach (var (server, copy) in copies)
        {
            Directory.Delete(server.PgraftDirectory, recursive: true);
            await CopyAsync(copy, server.PgraftDirectory);
        }

        await StartAllAsync(cluster);
        var leader = await cluster.LeaderAsync();
        Assert.Equal(then, Content(await cluster.AgreedStateAsync()));
        Assert.Empty(await load.LostOnAsync(leader, "linearizable"));
        Assert.Null(await leader.GetAsync("after"));

        // Each is a voter like before.
        await leader.KillAsync();
        await TestCluster.FirstWriteAsync(cluster.Running().First(), "without the leader");
    }

    // Its files are of different moments: that may be noticed or not. As long as the others are
    // whole and it is replaced, as the page demands, nothing is lost.
    [Fact]
    public async Task A_copy_of_a_running_member_in_its_place_is_refused_or_catches_up()
    {
        string[] reasons =
        [
            "is damaged at offset", "replaced by an older one", "is missing or damaged",
        ];
        var cluster = await NewClusterAsync(
            3, Founding.AddNode, s => s.Settings["pgraft.snapshot_interval"] = "100");
        var member = await cluster.FollowerAsync();
        var copy = Path.Combine(await TestRun.NewDirectoryAsync("copy"), "data");
        await using var load = await WriteLoad.StartAsync(cluster.Servers);
        await CopyAsync(member.PgraftDirectory, copy);
        var copied = load.Acknowledged;
        await Poll.UntilAsync("writes after the copy", () => load.Acknowledged > copied + 100);
        await load.StopAsync();
        await member.KillAsync();
        Directory.Delete(member.PgraftDirectory, recursive: true);
        await CopyAsync(copy, member.PgraftDirectory);

        await member.StartAsync();

        var state = await Poll.UntilAsync(
            "the copy to be taken or refused", member.WorkerStateAsync,
            s => s is "RUNNING" or "ERROR");
        Note($"the copy: {state}");
        if (state == "ERROR")
        {
            Assert.Contains(
                reasons, r => member.Log().Contains(r, StringComparison.Ordinal));
        }
        else
        {
            await cluster.AgreedStateAsync();
        }

        // It is to be removed by another.
        var other = cluster.Servers.First(s => s != member);
        Assert.Empty(await load.LostOnAsync(other, "linearizable"));
        if (state == "RUNNING" && await member.ScalarAsync<bool>("SELECT pgraft_is_leader()"))
        {
            await member.ExecuteAsync("SELECT pgraft_transfer_leadership()");
        }

        await MemberReplacement.RunAsync(cluster, member);
        Assert.Empty(await load.LostOnAsync(member, "linearizable"));
    }

    private static Task StopAllAsync(TestCluster cluster)
    {
        return Task.WhenAll(cluster.Servers.Select(s => s.StopAsync()));
    }

    private static Task StartAllAsync(TestCluster cluster)
    {
        return Task.WhenAll(cluster.Servers.Select(s => s.StartAsync()));
    }

    // Revision and state hash, without the index: each leader adds an entry.
    private static string Content(string state)
    {
        return state[(state.IndexOf(' ', StringComparison.Ordinal) + 1)..];
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
