// Handing leadership over in clusters of several real members: it goes where it should, quickly,
// and writes wait instead of failing; what stops it leaves the leader leading.
using System.Diagnostics;
using System.Text.RegularExpressions;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Cluster;

public sealed class TransferTests
{
    private const int HandingOver = 131;
    private const int HandedOver = 132;
    private const int NotHandedOver = 133;
    private const int AskedToStand = 134;
    private const int StopsWithoutHandover = 135;

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public async Task TheChosenMemberLeadsTheNextTermLongBeforeAnElectionTimeout(int size)
    {
        await using var cluster = await PatientAsync(size);
        var shortest = TimeSpan.MaxValue;
        for (int round = 0; round < 2 * size; round++)
        {
            await cluster.PutAsync($"k{round}", "v");
            var (leader, target, term, took) = await MoveAsync(cluster, round);
            shortest = took < shortest ? took : shortest;
            Assert.Equal(target.Address.NodeId, leader.Node.Status.LeaderId);
            Assert.Equal(term + 1, leader.Node.Status.Term);
            Assert.Equal(0, leader.Node.Status.LeaseDeadlineNs);
            Assert.Equal(target, await cluster.LeaderAsync(otherThan: leader));
            await cluster.UntilAsync(
                () => target.Node.HoldsLease, "the new leader's lease");
            Assert.InRange(
                target.Node.Engine.ElectionTimeout.TotalMilliseconds,
                cluster.ElectionTimeout, cluster.ElectionTimeout * 2);
        }

        await cluster.AgreeAsync();
        Assert.True(
            shortest.TotalMilliseconds < TestCluster.ElectionTimeoutMs / 2.0, $"{shortest}");
    }

    [Fact]
    public async Task WritesWaitAndNoneFailsOrIsLost()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 6).Select(w => WriteAsync(cluster, w, stop.Token));
        var load = writers.ToArray();
        for (int round = 0; round < 6; round++)
        {
            var (_, target, _, _) = await MoveAsync(cluster, round);
            long written = target.Node.Status.AppliedIndex;
            await cluster.UntilAsync(
                () => target.Node.Status.AppliedIndex > written + 50, "writes after the transfer");
        }

        await stop.CancelAsync();
        int[] counts = await Task.WhenAll(load);
        await cluster.AgreeAsync();
        for (int writer = 0; writer < counts.Length; writer++)
        {
            Assert.Equal($"{counts[writer]}", cluster[1].Get($"w{writer}"));
        }
    }

    // Neither was a leader missed, nor a majority.
    [Fact]
    public async Task TheLogAndTheHistoryCallAHandoverWhatItIs()
    {
        await using var cluster = await PatientAsync(3);
        await cluster.LeaderAsync();
        string before = ((LoggerFactoryForTests)cluster.Loggers).Text;
        for (int round = 0; round < 5; round++)
        {
            var (old, next, term, _) = await MoveAsync(cluster, round);
            await cluster.LeaderAsync(otherThan: old);
            Assert.Contains(
                old.Node.GetHistory(),
                c => c.Cause == "this node gave up leadership to hand it over");
            Assert.Equal(
                ["the leader handed over to this node", "this node won the election"],
                next.Node.GetHistory().Where(c => c.Term == term + 1).Select(c => c.Cause));
            SaidOnBothSides(cluster, old, next, term);
        }

        // Each that was begun has one end.
        Assert.Equal(
            cluster.Said(HandingOver).Count,
            cluster.Said(HandedOver).Count + cluster.Said(NotHandedOver).Count);
        string since = ((LoggerFactoryForTests)cluster.Loggers).Text[before.Length..];
        Assert.DoesNotContain("election timeout: node", since, StringComparison.Ordinal);
        Assert.DoesNotContain("failed to replicate", since, StringComparison.Ordinal);
    }

    private static void SaidOnBothSides(
        TestCluster cluster, TestNode old, TestNode next, long term)
    {
        int id = next.Address.NodeId;
        Assert.Contains(
            $"handing leadership of term {term} to node {id}", cluster.Said(HandingOver));
        Assert.Single(
            cluster.Said(AskedToStand),
            $"node {old.Address.NodeId}, the leader of term {term}, lets this node stand for "
                + "election");
        Assert.Single(
            cluster.Said(HandedOver),
            line => Regex.IsMatch(
                line,
                $"^node {id} has taken over leadership of term {term} within [0-9]+ ms$"));
    }

    [Fact]
    public async Task WithoutATargetTheMostUpToDateMemberTakesOver()
    {
        await using var network = new FaultyNetwork();
        await using var cluster = await ProxiedAsync(network);
        int decided = 0;
        for (int round = 0; round < 3; round++)
        {
            var (leader, followers) = await cluster.RolesAsync();
            var (behind, ahead) = (followers[0], followers[1]);

            // Its answers are late, so it is heard but always behind.
            network.Delay(
                leader.Address.NodeId, behind.Address.NodeId, TimeSpan.FromMilliseconds(60));
            for (int i = 0; i < 20; i++)
            {
                await leader.PutAsync("k", $"{round} {i}", TestCluster.Limit);
            }

            if (await MayBeSlowAsync(
                () => leader.Node.TransferLeadershipAsync(0, TestCluster.Limit)))
            {
                Assert.Equal(ahead.Address.NodeId, leader.Node.Status.LeaderId);
                decided++;
            }

            network.Heal();
            await cluster.AgreeAsync();
        }

        Assert.InRange(decided, 1, 3);
    }

    // On a machine that is busy with other work, nobody may lead for so long that the outcome is
    // unknown: an answer, but not the one asked for. False then.
    private static async Task<bool> MayBeSlowAsync(Func<Task> transfer)
    {
        try
        {
            await transfer();
            return true;
        }
        catch (PgraftException e) when (e.Code == StatusCode.OutcomeUnknown)
        {
            return false;
        }
    }

    [Fact]
    public async Task ATargetThatDoesNotCatchUpLeavesTheLeaderLeadingItsTerm()
    {
        await using var network = new FaultyNetwork();
        await using var cluster = await ProxiedAsync(network);
        var (leader, followers) = await cluster.RolesAsync();
        int target = followers[0].Address.NodeId;
        long term = leader.Node.Status.Term;
        await cluster.UntilAsync(() => leader.Node.HoldsLease, "the lease");
        network.Cut(leader.Address.NodeId, target);
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(3));
        var write = leader.PutAsync("k", "meanwhile", TestCluster.Limit);

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.TransferLeadershipAsync(target, soon.Token));

        Assert.Equal(StatusCode.NotDone, error.Code);
        Assert.Contains("did not catch up", error.Message, StringComparison.Ordinal);
        Assert.Equal(
            [$"handing leadership of term {term} to node {target}"], cluster.Said(HandingOver));
        Assert.Equal(
            [$"leadership was not handed to node {target}: {error.Message}"],
            cluster.Said(NotHandedOver));
        await write;
        await leader.PutAsync("k", "after", TestCluster.Limit);
        Assert.Equal((term, NodeRole.Leader), (leader.Node.Status.Term, leader.Node.Status.Role));
        await cluster.UntilAsync(() => leader.Node.HoldsLease, "the lease of the same term");
    }

    // It has everything, but it may be dead since: to ask it would cost a term.
    [Fact]
    public async Task ATargetThatHasFallenSilentIsNotAsked()
    {
        await using var network = new FaultyNetwork();
        await using var cluster = await ProxiedAsync(network);
        var (leader, followers) = await cluster.RolesAsync();
        int target = followers[0].Address.NodeId;
        await leader.PutAsync("k", "v", TestCluster.Limit);
        await cluster.AgreeAsync();
        long term = leader.Node.Status.Term;
        network.Cut(leader.Address.NodeId, target);

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.TransferLeadershipAsync(target, TestCluster.Limit));

        Assert.Equal(StatusCode.NotDone, error.Code);
        await leader.PutAsync("k", "after", TestCluster.Limit);
        Assert.Equal((term, NodeRole.Leader), (leader.Node.Status.Term, leader.Node.Status.Role));
    }

    [Fact]
    public async Task ATargetThatDoesNotAnswerOrIsNoMemberIsRefused()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        await followers[0].StopAsync();
        await cluster.UntilAsync(
            async () => await CodeOfAsync(leader, followers[0].Address.NodeId)
                == StatusCode.WrongState,
            "the stopped one to be missed");

        Assert.Equal(StatusCode.BadArgument, await CodeOfAsync(leader, 9));
        Assert.Equal(StatusCode.NotLeader, await CodeOfAsync(followers[1], 0));
        await leader.PutAsync("k", "v", TestCluster.Limit);
    }

    [Fact]
    public async Task AloneThereIsNobodyToTakeOver()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.TransferLeadershipAsync(0, TestCluster.Limit));
        Assert.Equal(
            (StatusCode.WrongState, "there is no other member"), (error.Code, error.Message));
        await cluster[1].Node.TransferLeadershipAsync(1, TestCluster.Limit);
        await cluster[1].Node.PrepareToStopAsync();
        await cluster[1].PutAsync("k", "v", TestCluster.Limit);
        Assert.Equal(long.MaxValue, cluster[1].Node.Status.LeaseDeadlineNs);
    }

    [Fact]
    public async Task ToItselfIsDoneOnceAMajorityConfirmsThatItLeads()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        long term = leader.Node.Status.Term;
        await leader.Node.TransferLeadershipAsync(leader.Address.NodeId, TestCluster.Limit);
        Assert.Equal(term, leader.Node.Status.Term);
        await Task.WhenAll(followers.Select(f => f.StopAsync()));
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.TransferLeadershipAsync(leader.Address.NodeId, soon.Token));
        Assert.Contains(error.Code, new[] { StatusCode.NotDone, StatusCode.NotLeader });
    }

    [Fact]
    public async Task WhileAMemberIsBeingAddedThereIsNoTransfer()
    {
        await using var cluster = await TestCluster.FoundAsync(3);
        var leader = await cluster.LeaderAsync();
        using var adding = new CancellationTokenSource();
        var nobody = leader.Address with { NodeId = 9, Port = TestNode.FreePort() };
        var add = leader.Node.AddMemberAsync(nobody, adding.Token);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.TransferLeadershipAsync(0, TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains("membership change", error.Message, StringComparison.Ordinal);
        var yielding = await Assert.ThrowsAsync<PgraftException>(
            () => leader.Node.YieldLeadershipAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, yielding.Code);
        await adding.CancelAsync();
        await Assert.ThrowsAsync<PgraftException>(() => add);
        await MayBeSlowAsync(() => leader.Node.TransferLeadershipAsync(0, TestCluster.Limit));
    }

    [Fact]
    public async Task BeforeAStopAnotherMemberTakesOver()
    {
        await using var cluster = await PatientAsync(3);
        var shortest = TimeSpan.MaxValue;
        for (int round = 0; round < 3; round++)
        {
            var (leader, followers) = await cluster.RolesAsync();
            await leader.PutAsync("k", $"{round}", TestCluster.Limit);
            var clock = Stopwatch.StartNew();
            await leader.Node.PrepareToStopAsync();
            Assert.Contains(
                leader.Node.Status.LeaderId, followers.Select(f => f.Address.NodeId));
            await leader.StopAsync();
            var next = await cluster.LeaderAsync();
            await next.PutAsync("k", $"after {round}", TestCluster.Limit);
            shortest = clock.Elapsed < shortest ? clock.Elapsed : shortest;
            await leader.StartAsync(TestCluster.Limit);
            await cluster.AgreeAsync();
        }

        Assert.True(shortest.TotalMilliseconds < TestCluster.ElectionTimeoutMs, $"{shortest}");
    }

    [Fact]
    public async Task AStopIsNotHeldUpWhenNobodyCanTakeOver()
    {
        await using var cluster = await PatientAsync(3);
        var (leader, followers) = await cluster.RolesAsync();
        long term = leader.Node.Status.Term;
        await Task.WhenAll(followers.Select(f => f.StopAsync()));
        var clock = Stopwatch.StartNew();
        await leader.Node.PrepareToStopAsync();
        Assert.InRange(
            clock.Elapsed.TotalMilliseconds, 0, cluster.ElectionTimeout + 200);
        Assert.StartsWith(
            $"the leader of term {term} stops without having handed over: ",
            Assert.Single(cluster.Said(StopsWithoutHandover)), StringComparison.Ordinal);
        await leader.StopAsync();
    }

    [Fact]
    public async Task TwoOfTwoCanHandOverBackAndForthWhileOneIsRemoved()
    {
        await using var cluster = await PatientAsync(2);
        for (int round = 0; round < 4; round++)
        {
            var (old, next, _, _) = await MoveAsync(cluster, round);
            Assert.Equal(next, await cluster.LeaderAsync(otherThan: old));
        }

        var (one, others) = await cluster.RolesAsync();
        var two = others[0];
        int leader = await one.Node.YieldLeadershipAsync(TestCluster.Limit);
        Assert.Equal(two.Address.NodeId, leader);
        await cluster.LeaderAsync(otherThan: one);
        await two.Node.RemoveMemberAsync(one.Address.NodeId, TestCluster.Limit);
        await two.PutAsync("k", "alone", TestCluster.Limit);
    }

    internal static async Task<TestCluster> ProxiedAsync(FaultyNetwork network)
    {
        var cluster = new TestCluster { Network = network };
        cluster.AddMany(3);
        await cluster.StartAllAsync();
        return cluster;
    }

    // What a handover may take follows from the election timeout: with this one a busy machine
    // keeps within it, too. How fast it is at best does not depend on it.
    private static async Task<TestCluster> PatientAsync(int size)
    {
        var cluster = new TestCluster { ElectionTimeout = 1000 };
        cluster.AddMany(size);
        await cluster.StartAllAsync();
        return cluster;
    }

    // On a busy machine a member may not make it in time; then it is asked again.
    private static async Task<Move> MoveAsync(TestCluster cluster, int choice)
    {
        Move? moved = null;
        await cluster.UntilAsync(
            async () =>
            {
                var (leader, followers) = await cluster.RolesAsync();
                var target = followers[choice % followers.Length];
                long term = leader.Node.Status.Term;
                var clock = Stopwatch.StartNew();
                var code = await CodeOfAsync(leader, target.Address.NodeId);
                Assert.Contains(
                    code,
                    new[]
                    {
                        StatusCode.Ok, StatusCode.NotDone, StatusCode.NotLeader,
                        StatusCode.WrongState,
                    });
                moved = new Move(leader, target, term, clock.Elapsed);
                return code == StatusCode.Ok;
            },
            "a transfer");
        return moved!;
    }

    private sealed record Move(TestNode Leader, TestNode Target, long Term, TimeSpan Took);

    private static async Task<StatusCode> CodeOfAsync(TestNode node, int target)
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            await node.Node.TransferLeadershipAsync(target, soon.Token);
            return StatusCode.Ok;
        }
        catch (PgraftException e)
        {
            return e.Code;
        }
    }

    // Counts up, through whoever leads. What is not the leader is asked no more; nothing else may
    // go wrong.
    private static async Task<int> WriteAsync(
        TestCluster cluster, int writer, CancellationToken stop)
    {
        int count = 0;
        while (!stop.IsCancellationRequested)
        {
            var leader = await cluster.LeaderAsync();
            try
            {
                await leader.PutAsync($"w{writer}", $"{count + 1}", TestCluster.Limit);
                count++;
            }
            catch (PgraftException e) when (e.Code == StatusCode.NotLeader)
            {
                // Certainly not done: again, elsewhere.
            }
        }

        return count;
    }
}
