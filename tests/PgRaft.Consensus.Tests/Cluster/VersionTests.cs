// Members of different versions in one cluster. The versions are claimed: that a build of another
// version really works with this one is shown by PgRaft.Upgrade.Tests on real servers.
using System.Text.RegularExpressions;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Cluster;

public sealed class VersionTests
{
    private static readonly NodeVersions Now = NodeVersions.OfThisBuild;

    private static readonly NodeVersions Ahead = Now with
    {
        Protocol = Now.Protocol with { Newest = Now.Protocol.Newest + 1 },
    };

    private static readonly NodeVersions TooNew = Now with
    {
        Protocol = new VersionRange(Now.Protocol.Newest + 1, Now.Protocol.Newest + 2),
    };

    private static readonly NodeVersions TooOld = Now with
    {
        Data = new VersionRange(1, Now.Data.Oldest - 1),
    };

    [Fact]
    public async Task NeighbouringVersionsWorkTogether()
    {
        await using var cluster = await ThreeAsync(n =>
        {
            n.Versions = n.Address.NodeId == 1 ? Now : Ahead;
            n.Version = n.Address.NodeId == 1 ? "1.0" : "1.1";
        });
        await cluster.PutAsync("k", "v");
        await cluster.AgreeAsync();
        var leader = await cluster.LeaderAsync();
        foreach (var peer in leader.Node.GetFacts().Peers)
        {
            bool isOld = peer.Address.NodeId == 1 || leader.Address.NodeId == 1;
            bool isSelf = peer.Address.NodeId == leader.Address.NodeId;
            Assert.Equal(peer.Address.NodeId == 1 ? "1.0" : "1.1", peer.Version);
            Assert.Equal(
                isOld && (!isSelf || peer.Address.NodeId == 1)
                    ? Now.Protocol.Newest
                    : Ahead.Protocol.Newest,
                peer.Protocol);
        }

        await leader.StopAsync();
        await cluster.PutAsync("k", "after a failover");
    }

    // A member knocks many times a second. It is refused by both, and both say it once.
    [Fact]
    public async Task AMemberThatIsTooNewIsRefusedAndNamedOnce()
    {
        await using var cluster = await ThreeAsync(_ => { });
        var (_, followers) = await cluster.RolesAsync();
        var stray = followers[0];
        await stray.StopAsync();
        stray.Versions = TooNew;
        stray.Version = "3.0";
        await stray.StartAsync(TestCluster.Limit);

        int id = stray.Address.NodeId;
        string why = $@"node {id} \(pgraft 3.0\) speaks peer protocol {TooNew.Protocol}, "
            + "but node ";
        string their = $@"failed: node {id} refused the connection: node \d \(pgraft test\) "
            + $@"speaks peer protocol {Now.Protocol}, but node {id} \(pgraft 3.0\) speaks "
            + $"{TooNew.Protocol}";
        await cluster.UntilAsync(
            () => Lines(cluster, $"node {id} is refused, calling from .*{why}").Length > 0,
            "the refusal to be logged by who was called");
        await cluster.UntilAsync(
            () => Lines(cluster, $"connection to node {id} .* {their}").Length > 0,
            "the refusal to be logged by who called");
        long before = stray.Node.Status.AppliedIndex;
        await cluster.PutAsync("k", "without it");
        Assert.Equal(before, stray.Node.Status.AppliedIndex);

        // Long enough for both sides to have tried again a hundred times.
        var heard = System.Diagnostics.Stopwatch.StartNew();
        await cluster.UntilAsync(() => heard.ElapsedMilliseconds > 3000, "three seconds");
        foreach (var node in cluster.Nodes.Where(n => n != stray))
        {
            Assert.InRange(
                Lines(
                    cluster,
                    $"is refused, calling from .*{why}{node.Address.NodeId} ").Length, 0, 1);
        }

        Assert.InRange(Lines(cluster, $"connection to node {id} .* {their}").Length, 1, 2);
        Assert.Equal(0, (await cluster.LeaderAsync()).Node.GetFacts().Peers
            .Single(p => p.Address.NodeId == id).Protocol);

        await stray.StopAsync();
        stray.Versions = Now;
        await stray.StartAsync(TestCluster.Limit);
        await cluster.AgreeAsync();
        Assert.NotEmpty(Lines(cluster, $"connection to node {id} at .* restored"));

        // A follower calls nobody; when it does, that is said as well.
        await using var channel = (await cluster.LeaderAsync()).CallAs(id);
        await channel.CallAsync(
            MessageType.PreVote, new FrameWriter().Int64(0).Int64(0).Int64(0),
            TimeSpan.FromSeconds(10), TestCluster.Limit);
        Assert.NotEmpty(Lines(cluster, $"node {id} is no longer refused"));
    }

    // One that is away is another matter than one that refuses, and both are said.
    [Fact]
    public async Task ARefusalAfterASilenceIsSaid()
    {
        await using var cluster = await ThreeAsync(_ => { });
        var (leader, followers) = await cluster.RolesAsync();
        var stray = followers[0];
        await stray.StopAsync();
        string failed = $"connection to node {stray.Address.NodeId} .* failed: ";
        await cluster.UntilAsync(
            () => Lines(cluster, failed + ".*(refused|closed|reset)").Length > 0, "it to be away");
        stray.Versions = TooNew;
        await stray.StartAsync(TestCluster.Limit);
        await cluster.UntilAsync(
            () => Lines(cluster, failed + ".*peer protocol").Length > 0, "the reason");
        Assert.Contains(
            "peer protocol",
            leader.Node.GetFacts().Peers.Single(p => p.Address == stray.Address).LastError,
            StringComparison.Ordinal);
    }

    // One that reads less than this node can write at least, and one that speaks another protocol:
    // the advice is about what does not fit.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AMemberWhoseVersionDoesNotFitIsNotAdded(bool isOld)
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        var joiner = await BesideAsync(cluster, isOld ? TooOld : TooNew);

        var error = await RefusedAsync(() => cluster[1].Node.AddMemberAsync(joiner.Address, Soon));

        Assert.Contains(
            isOld
                ? $"reads data up to version {Now.Data.Oldest - 1}, but node 1 (pgraft test) has "
                    + $"version {Now.Data.Oldest}"
                : $"speaks peer protocol {Now.Protocol}, but node 2 (pgraft test) speaks "
                    + $"{TooNew.Protocol}",
            error.Detail, StringComparison.Ordinal);
        Assert.Contains("this cluster's release", error.Hint, StringComparison.Ordinal);
        Assert.DoesNotContain("cluster_id", error.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ANodeOfAnotherIdIsNotAddedAndTheAdviceIsAboutThat()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        var joiner = await BesideAsync(cluster, Now);

        var error = await RefusedAsync(() => cluster[1].Node.AddMemberAsync(
            joiner.Address with { NodeId = 3 }, Soon));

        Assert.Contains("this address is node 2's", error.Detail, StringComparison.Ordinal);
        Assert.Contains("pgraft.cluster_id", error.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatNotEveryMemberReadsIsNotProposed()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        byte[] command = CommandEncoder.KvDelete("k"u8);
        command[0] = (byte)(DataVersions.Newest + 1);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => cluster[1].Node.ProposeAsync(command, 0, TestCluster.Limit).AsTask());
        Assert.Equal(StatusCode.NotDone, error.Code);
        Assert.Contains(
            $"has data version {DataVersions.Newest + 1}", error.Message, StringComparison.Ordinal);
        await cluster.PutAsync("k", "v");
    }

    // A leader does not send such an entry. One that does anyway is not believed: acknowledged, the
    // entry would be committed and could never be applied here.
    [Fact]
    public async Task AnEntryOfANewerVersionIsNotTakenIn()
    {
        await using var cluster = await ThreeAsync(_ => { });
        var (leader, followers) = await cluster.RolesAsync();
        var follower = followers[0];
        await leader.StopAsync();
        await followers[1].StopAsync();
        long last = follower.Node.Status.LastIndex;
        await using var channel = follower.CallAs(leader.Address.NodeId);
        var request = new FrameWriter().Int64(1000).Int64(last)
            .Int64((await follower.Node.ReadEntryAsync(last, TestCluster.Limit)).Term).Int64(0)
            .Int32(1).Int64(1000).Byte((byte)EntryKind.Command)
            .Bytes([DataVersions.Newest + 1, 1]);
        var error = await Assert.ThrowsAsync<PeerUnavailableException>(() => channel.CallAsync(
            MessageType.Append, request, TimeSpan.FromSeconds(10), TestCluster.Limit));
        Assert.True(error.RequestLeft);
        Assert.Equal(last, follower.Node.Status.LastIndex);
        await cluster.UntilAsync(
            () => Lines(cluster, $"entry {last + 1} has version {DataVersions.Newest + 1}, but "
                + $"this pgraft reads no newer one than {DataVersions.Newest}").Length > 0,
            "the reason in the log");
    }

    [Fact]
    public async Task ALogOfANewerVersionIsNotStartedFrom()
    {
        await using var cluster = await TestCluster.FoundAsync(1);
        await cluster.PutAsync("k", "v");
        var node = cluster[1];
        await node.StopAsync();
        long index;
        using (var log = SegmentedLog.Open(
            new LogOptions { Directory = Path.Combine(node.DataDirectory, "log") }, 0, 0))
        {
            long term = log.TermAt(log.LastIndex);
            index = log.Append(
                term, EntryKind.Command, [DataVersions.Newest + 1, 1]);
            await log.WaitDurableAsync(index);
        }

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => node.StartAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Equal(
            $"log entry {index} has version {DataVersions.Newest + 1}, "
                + $"but this pgraft reads no newer one than {DataVersions.Newest}",
            error.Message);
    }

    private static CancellationToken Soon =>
        new CancellationTokenSource(TimeSpan.FromSeconds(2)).Token;

    private static async Task<PgraftException> RefusedAsync(Func<Task> change)
    {
        var error = await Assert.ThrowsAsync<PgraftException>(change);
        Assert.Equal(StatusCode.WrongState, error.Code);
        return error;
    }

    // Node 2, which waits to be added.
    private static async Task<TestNode> BesideAsync(TestCluster cluster, NodeVersions versions)
    {
        string directory = Path.GetDirectoryName(cluster[1].DataDirectory)!;
        var joiner = cluster.Add(new TestNode(cluster, 2, directory)
        {
            InitialCluster = [],
            Versions = versions,
        });
        await joiner.StartAsync(TestCluster.Limit);
        return joiner;
    }

    private static async Task<TestCluster> ThreeAsync(Action<TestNode> configure)
    {
        var cluster = new TestCluster();
        for (int id = 1; id <= 3; id++)
        {
            configure(cluster.Add(id));
        }

        await cluster.StartAllAsync();
        return cluster;
    }

    private static string[] Lines(TestCluster cluster, string pattern) =>
        [.. ((LoggerFactoryForTests)cluster.Loggers).Text.Split('\n')
            .Where(line => Regex.IsMatch(line, pattern))];
}
