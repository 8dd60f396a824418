// Leadership moves between three hosts while clients write through all of them: no write fails.
using System.Collections.Concurrent;

using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Cluster;

public class TransferTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task No_write_fails_while_leadership_goes_back_and_forth()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        await cluster.WaitForLeaderAsync();
        await using var load = new PutLoad(cluster, [1, 2, 3]);
        for (int round = 0; round < 6; round++)
        {
            await load.GoesOnAsync();
            await MoveAsync(cluster);
        }

        await load.GoesOnAsync();
        Assert.Empty(await load.StopAsync());
        await cluster.WaitForEqualAsync();
    }

    [Fact]
    public async Task No_write_through_the_others_fails_when_the_leader_is_stopped()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        for (int round = 0; round < 3; round++)
        {
            int leader = await cluster.WaitForLeaderAsync();
            await using var load = new PutLoad(cluster, [(leader % 3) + 1, ((leader + 1) % 3) + 1]);
            await load.GoesOnAsync();
            await cluster.StopNodeAsync(leader);
            await load.GoesOnAsync();
            Assert.Empty(await load.StopAsync());
            await cluster.StartNodeAsync(leader);
        }

        await cluster.WaitForLeaderAsync();
        await cluster.WaitForEqualAsync();
    }

    [Fact]
    public async Task A_read_waits_for_the_new_leader_too()
    {
        await using var cluster = await HostCluster.StartAsync(isFounded: true);
        int leader = await cluster.WaitForLeaderAsync();
        await cluster.CallAsync(leader, RequestCode.KvPut, "k", "v", 0L);
        for (int round = 0; round < 3; round++)
        {
            var moving = MoveAsync(cluster);
            while (!moving.IsCompleted)
            {
                var reads = await Task.WhenAll(cluster.Running().Select(
                    id => cluster.CallAsync(id, RequestCode.KvGet, "k", true)));
                Assert.All(reads, r => Assert.Equal((StatusCode.Ok, "v"), (r.Status, r.Value)));
            }

            await moving;
        }
    }

    // To the next node. On a busy machine it may not make it in time; then it is asked again.
    private static async Task MoveAsync(HostCluster cluster)
    {
        while (true)
        {
            int leader = await cluster.WaitForLeaderAsync();
            int target = (leader % 3) + 1;
            var moved = await cluster.CallAsync(leader, RequestCode.TransferLeadership, target);
            if (moved.Status == StatusCode.Ok)
                return;
            Assert.True(
                moved.Status is StatusCode.NotDone or StatusCode.NotLeader or StatusCode.WrongState,
                moved.Summary);
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Clients that put as fast as they can, until stopped.</summary>
    private sealed class PutLoad : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly ConcurrentQueue<string> _failures = new();
        private readonly Task _clients;
        private int _done;

        public PutLoad(HostCluster cluster, IReadOnlyList<int> nodes) =>
            _clients = Task.WhenAll(nodes.Select(id => Task.Run(() => PutAsync(cluster, id))));

        /// <summary>Waits until more puts were acknowledged.</summary>
        public Task GoesOnAsync()
        {
            int target = Volatile.Read(ref _done) + 30;
            return Eventually.TrueAsync(
                () => Volatile.Read(ref _done) >= target || !_failures.IsEmpty, "puts go on");
        }

        /// <summary>Ends the clients; what failed.</summary>
        public async Task<IReadOnlyList<string>> StopAsync()
        {
            await _stop.CancelAsync();
            await _clients.WaitAsync(Limit);
            return [.. _failures];
        }

        public async ValueTask DisposeAsync()
        {
            await StopAsync();
            _stop.Dispose();
        }

        private async Task PutAsync(HostCluster cluster, int id)
        {
            using var client = cluster.Connect(id);
            for (int i = 0; !_stop.IsCancellationRequested; i++)
            {
                var put = await client.CallAsync(RequestCode.KvPut, $"node{id}", $"{i}", 0L);
                if (put.Status == StatusCode.Ok)
                    Interlocked.Increment(ref _done);
                else
                    _failures.Enqueue(put.Summary);
            }
        }
    }
}
