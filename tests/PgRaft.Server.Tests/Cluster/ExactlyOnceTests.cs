// Writes on three real nodes while leaders go: each takes effect once and is answered truly.
using System.Globalization;

using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Cluster;

public class ExactlyOnceTests
{
    [Fact]
    public async Task A_write_whose_leader_goes_before_it_answers_is_done_once_and_answered()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        int other = cluster.Running().First(id => id != leader);
        cluster.Node(other).LoseNextAnswer(() => cluster.StopNodeAsync(leader));
        var set = await cluster.CallAsync(other, RequestCode.KvCas, "k", 0L, "v");
        Assert.True(set.Status == StatusCode.Ok, set.Summary);
        Assert.Equal(1L, set.Value);
        Assert.Equal(1, cluster.Host(other).StateMachine.Kv.Revision);
    }

    [Fact]
    public async Task An_entry_whose_leader_goes_before_it_answers_has_its_first_index()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        int other = cluster.Running().First(id => id != leader);
        long appliedIndex = 0;
        cluster.Node(other).LoseNextAnswer(async () =>
        {
            appliedIndex = cluster.Host(leader).StateMachine.AppliedIndex;
            await cluster.StopNodeAsync(leader);
        });
        var append = await cluster.CallAsync(other, RequestCode.LogAppend, null, "data");
        Assert.True(append.Status == StatusCode.Ok, append.Summary);
        Assert.Equal(appliedIndex, append.Value);
    }

    [Fact]
    public async Task A_fenced_entry_that_was_done_is_answered_by_a_leader_of_a_later_term()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        long term = cluster.Statuses[leader - 1].Last.Node.Term;
        int other = cluster.Running().First(id => id != leader);
        cluster.Node(other).LoseNextAnswer(() => cluster.StopNodeAsync(leader));
        var append = await cluster.CallAsync(other, RequestCode.LogAppend, term, "data");
        Assert.True(append.Status == StatusCode.Ok, append.Summary);
        var late = await cluster.CallAsync(other, RequestCode.LogAppend, term, "late");
        Assert.Equal(StatusCode.NotDone, late.Status);
    }

    [Fact]
    public async Task A_counter_counts_each_success_once_while_leaders_come_and_go()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        await cluster.WaitForLeaderAsync();
        using var stop = new CancellationTokenSource();
        var counters = Enumerable.Range(1, 3)
            .Select(id => Task.Run(() => CountAsync(cluster, id, stop.Token))).ToArray();
        for (int round = 0; round < 3; round++)
        {
            int leader = await cluster.WaitForLeaderAsync();
            await cluster.StopNodeAsync(leader);
            await cluster.WaitForLeaderAsync();
            await cluster.StartNodeAsync(leader);
            await CountsOnAsync(cluster);
        }

        await stop.CancelAsync();
        var done = await Task.WhenAll(counters);
        int succeeded = done.Sum(d => d.Succeeded);
        int unknown = done.Sum(d => d.Unknown);
        var counted = await cluster.CallAsync(1, RequestCode.KvGet, "counter", true);
        Assert.InRange(
            int.Parse((string)counted.Value!, CultureInfo.InvariantCulture),
            succeeded,
            succeeded + unknown);
        Assert.True(succeeded > 4 * unknown, $"{succeeded} done, {unknown} unknown");
    }

    private static Task CountsOnAsync(HostCluster cluster)
    {
        long Counted() => cluster.Running().Max(id => cluster.Host(id).StateMachine.Kv.Revision);
        long before = Counted();
        return Eventually.TrueAsync(() => Counted() >= before + 5, "the counter rises");
    }

    // Increments by compare and set, through one node, until stopped.
    private static async Task<(int Succeeded, int Unknown)> CountAsync(
        HostCluster cluster, int id, CancellationToken stop)
    {
        int succeeded = 0;
        int unknown = 0;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var client = cluster.Connect(id);
                while (!stop.IsCancellationRequested)
                {
                    var status = await IncrementAsync(client, () => unknown++);
                    succeeded += status ? 1 : 0;
                }
            }
            catch (Exception e) when (e is System.Net.Sockets.SocketException
                or EndOfStreamException or IOException)
            {
                // The node is down.
                await Task.Delay(20, CancellationToken.None); // not to spin meanwhile
            }
        }

        return (succeeded, unknown);
    }

    private static async Task<bool> IncrementAsync(TestClient client, Action unknown)
    {
        var entry = await client.CallAsync(RequestCode.KvGet, "counter", true);
        if (entry.Status != StatusCode.Ok)
            return false;
        int count = int.Parse((string?)entry.Value ?? "0", CultureInfo.InvariantCulture);
        bool isKnown = false;
        try
        {
            // Nothing else is written: the revision is the count.
            var set = await client.CallAsync(
                RequestCode.KvCas, "counter", (long)count, $"{count + 1}");
            isKnown = set.Status != StatusCode.OutcomeUnknown;
            return set.Status == StatusCode.Ok && set.Value is not null;
        }
        finally
        {
            if (!isKnown)
                unknown();
        }
    }
}
