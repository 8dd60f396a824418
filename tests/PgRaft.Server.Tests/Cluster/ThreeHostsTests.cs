using System.Collections.Concurrent;

using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Cluster;

public class ThreeHostsTests
{
    [Fact]
    public async Task Every_node_takes_writes_and_reads_what_another_has_written()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        await cluster.WaitForLeaderAsync();
        for (int writer = 1; writer <= 3; writer++)
        {
            var put = await cluster.CallAsync(writer, RequestCode.KvPut, $"k{writer}", "v", 0L);
            Assert.Equal((StatusCode.Ok, (long)writer), (put.Status, put.Value));
            for (int reader = 1; reader <= 3; reader++)
            {
                var got = await cluster.CallAsync(reader, RequestCode.KvGet, $"k{writer}", true);
                Assert.Equal("v", got.Value);
            }
        }

        await AssertEqualHashesAsync(cluster);
    }

    [Fact]
    public async Task A_cluster_is_founded_by_init_and_add_node()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: false);
        Assert.Equal(WorkerState.Waiting, cluster.Host(2).State);
        Assert.Equal(
            StatusCode.WrongState,
            (await cluster.CallAsync(2, RequestCode.KvPut, "k", "v", 0L)).Status);
        Assert.Equal(true, (await cluster.CallAsync(1, RequestCode.Init)).Value);
        Assert.Equal(StatusCode.WrongState, (await cluster.CallAsync(1, RequestCode.Init)).Status);
        for (int id = 2; id <= 3; id++)
        {
            var added = await cluster.CallAsync(
                1, RequestCode.AddNode, id, "127.0.0.1", cluster.Port(id));
            Assert.True(added.Status == StatusCode.Ok, added.Summary);
        }

        Assert.Equal(3, (await cluster.CallAsync(1, RequestCode.GetNodes)).Rows.Length);
        Assert.Equal(true, (await cluster.CallAsync(3, RequestCode.Test)).Value);
        await Eventually.TrueAsync(
            () => cluster.Host(3).State == WorkerState.Running, "node 3 is running");
        var elsewhere = await cluster.CallAsync(2, RequestCode.AddNode, 4, "127.0.0.1", 7004);
        Assert.Equal(StatusCode.NotLeader, elsewhere.Status);
        Assert.Equal(
            $"Run it on the leader: node 1 at 127.0.0.1:{cluster.Port(1)}.", elsewhere.Hint);
    }

    [Fact]
    public async Task Nothing_acknowledged_is_lost_when_the_leader_goes_and_comes_back()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int old = await cluster.WaitForLeaderAsync();
        await cluster.CallAsync(old, RequestCode.KvPut, "before", "1", 0L);
        await cluster.StopNodeAsync(old);
        int survivor = cluster.Running().First();
        var put = await cluster.CallAsync(survivor, RequestCode.KvPut, "after", "2", 0L);
        Assert.True(put.Status == StatusCode.Ok, put.Summary);
        var before = await cluster.CallAsync(survivor, RequestCode.KvGet, "before", true);
        Assert.Equal("1", before.Value);
        await cluster.StartNodeAsync(old);
        Assert.Equal("2", (await cluster.CallAsync(old, RequestCode.KvGet, "after", true)).Value);
        await AssertEqualHashesAsync(cluster);
    }

    [Fact]
    public async Task Writes_through_all_nodes_at_once_are_each_done_once()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        await cluster.WaitForLeaderAsync();
        var revisions = new ConcurrentBag<long>();
        await Task.WhenAll(Enumerable.Range(0, 12).Select(writer => Task.Run(async () =>
        {
            using var client = cluster.Connect((writer % 3) + 1);
            for (int i = 0; i < 25; i++)
            {
                var put = await client.CallAsync(RequestCode.KvPut, $"w{writer}", $"{i}", 0L);
                Assert.Equal(StatusCode.Ok, put.Status);
                revisions.Add((long)put.Value!);
            }
        })));
        Assert.Equal(Enumerable.Range(1, 300).Select(r => (long)r), revisions.Order());
        await AssertEqualHashesAsync(cluster);
    }

    [Fact]
    public async Task The_leader_can_be_told_to_remove_itself()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        var removed = await cluster.CallAsync(leader, RequestCode.RemoveNode, leader);
        Assert.True(removed.Status == StatusCode.Ok, removed.Summary);
        int other = cluster.Running().First(id => id != leader);
        Assert.Equal(true, (await cluster.CallAsync(other, RequestCode.LogSync)).Value);
        var members = await cluster.CallAsync(other, RequestCode.GetNodes);
        Assert.Equal(
            cluster.Running().Where(id => id != leader).Cast<object>(),
            members.Rows.Select(r => r[0]!));
        var put = await cluster.CallAsync(other, RequestCode.KvPut, "k", "v", 0L);
        Assert.Equal(StatusCode.Ok, put.Status);
    }

    [Fact(Timeout = 60_000)]
    public async Task Without_a_majority_nothing_is_claimed_to_be_done()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        await cluster.CallAsync(leader, RequestCode.KvPut, "k", "old", 0L);
        foreach (int id in cluster.Running().Where(id => id != leader).ToArray())
            await cluster.StopNodeAsync(id);
        using var client = cluster.Connect(leader);
        var put = await client.CallWithinAsync(RequestCode.KvPut, 300, "k", "new", 0L);
        Assert.Contains(put.Status, new[] { StatusCode.OutcomeUnknown, StatusCode.NoLeader });
        var get = await client.CallWithinAsync(RequestCode.KvGet, 300, "k", true);
        Assert.Contains(get.Status, new[] { StatusCode.TimedOut, StatusCode.NoLeader });
        await Eventually.TrueAsync(
            () => cluster.Statuses[leader - 1].Last.Node.LeaderId == 0, "the leader gives up");
        var late = await client.CallWithinAsync(RequestCode.KvPut, 100, "k", "new", 0L);
        Assert.Equal(StatusCode.NoLeader, late.Status);
        Assert.Matches(@"^No leader known for \d+\.\d s; \d of 3 members answer", late.Detail);
        while (!late.Detail!.Contains("; 1 of 3 members answer", StringComparison.Ordinal))
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            late = await client.CallWithinAsync(RequestCode.KvPut, 50, "k", "new", 0L);
        }

        Assert.Equal("old", (await client.CallAsync(RequestCode.KvGet, "k", false)).Value);
    }

    private static async Task AssertEqualHashesAsync(HostCluster cluster)
    {
        await cluster.WaitForEqualAsync();
        var states = new HashSet<(object?, object?)>();
        foreach (int id in cluster.Running())
        {
            var row = Assert.Single((await cluster.CallAsync(id, RequestCode.EndpointStatus)).Rows);
            states.Add((row[3], row[5]));
        }

        Assert.Single(states);
    }
}
