// Clusters of 1, 3 and 5 in one process: election, replication, fail-over, restart, membership.
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Cluster;

public sealed class ClusterTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    public async Task ElectsOneLeaderAndReplicatesToAll(int size)
    {
        await using var cluster = await TestCluster.FoundAsync(size);
        var leader = await cluster.LeaderAsync();
        for (int i = 0; i < 50; i++)
        {
            await leader.PutAsync($"k{i}", $"v{i}", TestCluster.Limit);
        }

        await cluster.AgreeAsync();
        Assert.All(cluster.Nodes, n => Assert.Equal("v49", n.Get("k49")));
        Assert.Single(cluster.Nodes, n => n.Node.Status.Role == NodeRole.Leader);
        Assert.Single(cluster.Nodes.Select(n => n.Node.Status.Term).Distinct());
    }

    [Theory]
    [InlineData(3, 1)]
    [InlineData(5, 2)]
    public async Task SurvivesTheLossOfAMinority(int size, int lost)
    {
        await using var cluster = await TestCluster.FoundAsync(size);
        for (int i = 0; i < lost; i++)
        {
            var leader = await cluster.LeaderAsync();
            await leader.PutAsync($"before{i}", "kept", TestCluster.Limit);
            await leader.StopAsync();
        }

        var last = await cluster.LeaderAsync();
        await last.PutAsync("after", "written", TestCluster.Limit);
        await cluster.AgreeAsync();
        Assert.Equal("kept", last.Get("before0"));
    }

    // It asks the leader nothing; what the leader sends is the sign of life, as long as it comes.
    [Fact]
    public async Task AFollowerKnowsItsLeaderToBeAlive()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        var longEnough = TimeSpan.FromMilliseconds(cluster.ElectionTimeout * 3);
        await cluster.UntilAsync(
            () => followers[0].Node.GetFacts().Peers
                .Single(p => p.Address == leader.Address) is { IsAlive: true } peer
                && DateTimeOffset.UtcNow - peer.AliveSince > longEnough,
            "the leader has been alive for longer than one sign of life counts");
    }

    [Fact]
    public async Task RestartedMembersCatchUp()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (_, followers) = await cluster.RolesAsync();
        await followers[0].StopAsync();
        for (int i = 0; i < 500; i++)
        {
            await cluster.PutAsync($"k{i % 7}", $"v{i}");
        }

        await followers[0].StartAsync(TestCluster.Limit);
        await cluster.AgreeAsync();
        Assert.Equal("v499", followers[0].Get($"k{499 % 7}"));
    }

    [Fact]
    public async Task EverythingAcknowledgedSurvivesARestartOfAll()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        for (int i = 0; i < 100; i++)
        {
            await cluster.PutAsync($"k{i}", $"v{i}");
        }

        await Task.WhenAll(cluster.Nodes.Select(n => n.StopAsync()));
        await Task.WhenAll(cluster.Nodes.Select(n => n.StartAsync(TestCluster.Limit)));
        await cluster.AgreeAsync();
        Assert.All(cluster.Nodes, n => Assert.Equal("v99", n.Get("k99")));
    }

    [Fact]
    public async Task ALaggingMemberIsCaughtUpByASnapshot()
    {
        var small = new TestCluster().Runtime with
        {
            SnapshotIntervalEntries = 100,
            MaxLogEntries = 10,
        };
        await using var cluster = await TestCluster.FoundAsync(3, small);
        var (_, followers) = await cluster.RolesAsync();
        await followers[0].StopAsync();
        string big = new('x', 4000);
        for (int i = 0; i < 6000; i += 50)
        {
            await Task.WhenAll(Enumerable.Range(i, 50).Select(
                k => cluster.PutAsync($"k{k % 50}", big + k)));
        }

        var leader = await cluster.LeaderAsync();
        await cluster.UntilAsync(
            () => leader.Node.Status.FirstIndex > 1, "the leader's log to be compacted");
        await followers[0].StartAsync(TestCluster.Limit);
        await cluster.AgreeAsync();
        Assert.True(followers[0].Node.Status.SnapshotIndex > 0);
        Assert.Equal(leader.Get("k7"), followers[0].Get("k7"));
        Assert.Equal(NodeRole.Leader, leader.Node.Status.Role);
    }

    [Fact]
    public async Task FoundsAloneAndGrowsAndShrinks()
    {
        await using var cluster = new TestCluster();
        var first = cluster.Add(1);
        await first.StartAsync(TestCluster.Limit);
        Assert.Equal(NodeRole.Waiting, first.Node.Status.Role);
        await first.Node.FoundAsync(TestCluster.Limit);
        Assert.Equal(NodeRole.Leader, first.Node.Status.Role);
        await first.PutAsync("a", "1", TestCluster.Limit);
        for (int id = 2; id <= 4; id++)
        {
            var joiner = cluster.Add(id);
            await joiner.StartAsync(TestCluster.Limit);
            await first.Node.AddMemberAsync(joiner.Address, TestCluster.Limit);
        }

        await first.PutAsync("b", "2", TestCluster.Limit);
        await cluster.AgreeAsync();
        Assert.Equal(4, first.Node.GetMembers().Count);
        Assert.Equal("1", cluster[4].Get("a"));
        await first.Node.RemoveMemberAsync(4, TestCluster.Limit);
        await cluster[4].StopAsync();
        Assert.Equal([1, 2, 3], first.Node.GetMembers().Select(m => m.Address.NodeId));
        await first.StopAsync();
        var second = await cluster.LeaderAsync();
        await second.PutAsync("c", "3", TestCluster.Limit);
        Assert.Equal("2", second.Get("b"));
    }

    [Fact]
    public async Task ReadBarrierOnAFollowerSeesEveryEarlierWrite()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        for (int i = 0; i < 50; i++)
        {
            await leader.PutAsync("k", $"v{i}", TestCluster.Limit);
            var reader = followers[i % 2];
            await reader.Node.ReadBarrierAsync(TestCluster.Limit);
            Assert.Equal($"v{i}", reader.Get("k"));
        }
    }

    [Fact]
    public async Task AReadIsConfirmedByAMajority()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        await Task.WhenAll(followers.Select(f => f.StopAsync()));

        // It still takes itself for the leader, and may be wrong: it must not answer.
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        var error = await Assert.ThrowsAsync<PgraftException>(
            async () => await leader.Node.ReadBarrierAsync(soon.Token));
        Assert.Equal(StatusCode.TimedOut, error.Code);
    }

    [Fact]
    public async Task WithoutAMajorityWritesAreUnknownAndReadsTimeOut()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        await Task.WhenAll(followers.Select(f => f.StopAsync()));
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(150));
        var write = await Assert.ThrowsAsync<PgraftException>(
            async () => await leader.PutAsync("k", "v", soon.Token));
        Assert.Equal(StatusCode.OutcomeUnknown, write.Code);
        await cluster.UntilAsync(
            () => leader.Node.Status.Role != NodeRole.Leader, "the leader to step down");
        Assert.Equal(0, leader.Node.Status.LeaseDeadlineNs);
        var refused = await Assert.ThrowsAsync<PgraftException>(
            async () => await leader.PutAsync("k", "v", TestCluster.Limit));
        Assert.Equal(StatusCode.NotLeader, refused.Code);
        using var again = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        var read = await Assert.ThrowsAsync<PgraftException>(
            async () => await leader.Node.ReadBarrierAsync(again.Token));
        Assert.Equal(StatusCode.TimedOut, read.Code);
    }

    [Fact]
    public async Task YieldingMakesAnotherMemberLead()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var leader = await cluster.LeaderAsync();
        int elected = await leader.Node.YieldLeadershipAsync(TestCluster.Limit);
        Assert.NotEqual(leader.Address.NodeId, elected);
        var next = await cluster.LeaderAsync(otherThan: leader);
        await next.PutAsync("k", "v", TestCluster.Limit);
        await cluster.AgreeAsync();
    }

    [Fact]
    public async Task FoundingTwiceIsRefused()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.FoundAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, error.Code);
    }

    [Fact]
    public async Task ALostTermFileIsRefused()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await cluster[1].PutAsync("k", "v", TestCluster.Limit);
        await cluster[1].StopAsync();
        File.Delete(Path.Combine(cluster[1].DataDirectory, "term"));
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].StartAsync(TestCluster.Limit));
        Assert.Contains("the stored term", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ABusyPortIsAClearError()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await using var other = new TestCluster { ClusterId = "other" };
        var options = new NodeOptions
        {
            ClusterId = "other",
            Self = cluster[1].Address with { NodeId = 9 },
            ListenAddress = "127.0.0.1",
            DataDirectory = cluster[1].DataDirectory + "-other",
            InitialCluster = [],
            ElectionTimeoutMs = 300,
            HeartbeatIntervalMs = 30,
            Version = "test",
            Runtime = cluster.Runtime,
        };
        await using var node = new RaftNode(options, new StateMachine(), cluster.Loggers);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => node.StartAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.IoError, error.Code);
        Assert.Contains($"{cluster[1].Address.Port}", error.Message, StringComparison.Ordinal);
    }
}
