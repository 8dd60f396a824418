// A snapshot transfer that is broken off in the middle: the joiner or the leader is killed, or the
// connection is cut. It starts over, and a half is never installed: the joiner has nothing or
// everything.
//
// Threading: the tests run one after the other, each with a cluster of its own. To hit the middle
// for certain the joiner's worker is frozen there.

using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class InterruptedTransferTests : ServerTest
{
    private const int Keys = 10_500;
    private const int ValueBytes = 4096;
    private const long AtLeastBytes = 1024 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_joiner_killed_in_the_middle_starts_over()
    {
        var cluster = await LoadedClusterAsync();
        var joiner = await cluster.AddServerAsync(2);
        var adding = AddAsync(cluster[1], joiner);
        var frozen = await FrozenInTheMiddleAsync(joiner);

        frozen.Abandon();
        await joiner.KillAsync();
        await joiner.StartAsync();

        await Task.WhenAll(
            NothingOrEverythingAsync(joiner), JoinsAsync(cluster, joiner, adding));
    }

    [Fact]
    public async Task A_cut_connection_makes_the_transfer_start_over()
    {
        var cluster = await LoadedClusterAsync();
        var joiner = await cluster.AddServerAsync(2);
        var adding = AddAsync(cluster[1], joiner);
        await using (var frozen = await FrozenInTheMiddleAsync(joiner))
        {
            await Command.RunAsync(
                "ss", "-K", "-t", "dst", "127.0.0.1", "dport", "=", $"{joiner.RaftPort}");
            await frozen.ThawAsync();
        }

        await Task.WhenAll(
            NothingOrEverythingAsync(joiner), JoinsAsync(cluster, joiner, adding));
    }

    [Fact]
    public async Task A_leader_killed_in_the_middle_starts_over()
    {
        var cluster = await LoadedClusterAsync();
        var joiner = await cluster.AddServerAsync(2);
        var adding = AddAsync(cluster[1], joiner);
        await using (var frozen = await FrozenInTheMiddleAsync(joiner))
        {
            await cluster[1].KillAsync();
            await frozen.ThawAsync();
            Assert.False(await adding);
        }

        Assert.Equal(0, await joiner.ScalarAsync<long>("SELECT pgraft_get_applied_index()"));
        await cluster[1].StartAsync();
        await Poll.UntilAsync(
            "the leader leads again",
            () => cluster[1].ScalarAsync<bool>("SELECT pgraft_is_leader()"),
            Patience);
        await Task.WhenAll(
            NothingOrEverythingAsync(joiner), JoinsAsync(cluster, joiner, adding));
    }

    private async Task<TestCluster> LoadedClusterAsync()
    {
        Assert.SkipUnless(TestRun.IsRoot, "needs root to cut a connection");
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        await BulkLoad.PutAsync(cluster[1], Keys, ValueBytes);
        await Poll.UntilAsync(
            "a snapshot",
            () => Directory.EnumerateFiles(cluster[1].PgraftDirectory, "*.snap").Any(),
            Patience);
        return cluster;
    }

    // Whether the member was added; an interrupted transfer may end the call with "not done", and
    // the end of the server with no word at all.
    private static async Task<bool> AddAsync(TestServer leader, TestServer joiner)
    {
        await joiner.WaitForStateAsync("WAITING");
        await using var session = await leader.OpenAsync();
        await session.ExecuteAsync("SET pgraft.request_timeout = '50s'");
        try
        {
            return await session.ScalarAsync<bool>(
                "SELECT pgraft_add_node($1, '127.0.0.1', $2)", joiner.NodeId, joiner.RaftPort);
        }
        catch (NpgsqlException e) when (e is not PostgresException { SqlState: not "40001" })
        {
            Note(e.Message);
            return false;
        }
    }

    private static async Task<Freezer> FrozenInTheMiddleAsync(TestServer joiner)
    {
        await Poll.UntilAsync(
            "a transfer under way",
            () => Unfinished(joiner).Any(f => f.Length >= AtLeastBytes),
            Patience);
        var frozen = await Freezer.ProcessesAsync(joiner.WorkerPid);
        Assert.NotEmpty(Unfinished(joiner));
        Assert.Empty(Directory.EnumerateFiles(joiner.PgraftDirectory, "snapshot-*"));
        Assert.Equal(0, await joiner.ScalarAsync<long>("SELECT pgraft_get_applied_index()"));
        return frozen;
    }

    // From here until the member has joined: no state between none and that of a whole snapshot.
    private static Task NothingOrEverythingAsync(TestServer joiner)
    {
        return Poll.UntilAsync(
            "everything",
            async () =>
            {
                var index = await joiner.ScalarAsync<long>("SELECT pgraft_get_applied_index()");
                Assert.True(index is 0 or >= 10_000, $"applied index {index}");
                return index > 0;
            },
            Patience);
    }

    private static async Task JoinsAsync(
        TestCluster cluster, TestServer joiner, Task<bool> adding)
    {
        if (!await adding)
        {
            Assert.True(await AddAsync(cluster[1], joiner));
        }

        await joiner.WaitForStateAsync("RUNNING");
        await cluster.AgreedStateAsync();
        Assert.Empty(Unfinished(joiner));
        Assert.Single(joiner.Log().Split("installed the leader's snapshot")[1..]);
    }

    private static FileInfo[] Unfinished(TestServer server)
    {
        return new DirectoryInfo(server.PgraftDirectory).GetFiles("unfinished-*");
    }
}
