// A name server that does not answer costs a thread of its own, once, and none of the pool.
using System.Net;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class NameGuardTests
{
    private const string Name = "member.invalid";
    private static readonly TimeSpan Brief = TimeSpan.FromMilliseconds(50);

    [Fact]
    public async Task CallsThatRunOutOfTimeShareOneLookup()
    {
        using var answers = new ManualResetEventSlim();
        int lookups = 0;
        bool onPool = false;
        IPAddress[] Resolve(string name)
        {
            Assert.Equal(Name, name);
            Interlocked.Increment(ref lookups);
            onPool |= Thread.CurrentThread.IsThreadPoolThread;
            answers.Wait(TestCluster.Limit);
            return [IPAddress.Loopback];
        }

        await using var fake = await FakePeer.StartAsync((_, answer, _) =>
        {
            answer.Int64(7);
            return ValueTask.CompletedTask;
        });
        await using var channel = FakePeer.Call(
            fake.Address with { Host = Name }, asNodeId: 1, lookup: new HostLookup(Name, Resolve));
        for (int i = 0; i < 3; i++)
        {
            var failure = await Assert.ThrowsAsync<PeerUnavailableException>(
                () => channel.CallAsync(
                    MessageType.Report, new FrameWriter(), Brief, TestCluster.Limit));
            Assert.False(failure.RequestLeft);
        }

        // It waits for the lookup that is under way by the time it has returned.
        var call = channel.CallAsync(
            MessageType.Report, new FrameWriter(), TimeSpan.FromSeconds(10), TestCluster.Limit);
        answers.Set();

        Assert.Equal(7, new BodyReader(await call).Int64());
        Assert.Equal(1, lookups);
        Assert.False(onPool);
    }

    // A name may mean something else by then.
    [Fact]
    public async Task ANameIsLookedUpAgainOnceItHasBeenFound()
    {
        int lookups = 0;
        var lookup = new HostLookup(Name, _ => [IPAddress.Parse($"127.0.0.{++lookups}")]);

        Assert.Equal(
            "127.0.0.1", Assert.Single(await lookup.FindAsync(TestCluster.Limit)).ToString());
        Assert.Equal(
            "127.0.0.2", Assert.Single(await lookup.FindAsync(TestCluster.Limit)).ToString());
    }

    [Fact]
    public async Task AnAddressIsNotLookedUp()
    {
        var lookup = new HostLookup(
            "127.0.0.9", _ => throw new InvalidOperationException("looked up"));

        Assert.Equal(
            "127.0.0.9", Assert.Single(await lookup.FindAsync(TestCluster.Limit)).ToString());
    }
}
