// Requests that share a connection: what one of them does to the others.
// Threading: one test at a time. Failure: as the test's own.
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public class SharedConnectionGuardTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    // A leader that has its own removal forwarded goes on asking to read, is refused as a stranger
    // once it is removed, and must learn that the removal was done.
    [Fact]
    public async Task ARefusalLetsTheAnswersUnderWayThrough()
    {
        var under = new TaskCompletionSource();
        var refused = new TaskCompletionSource();
        var done = new TaskCompletionSource();
        await using var peer = await FakePeer.StartAsync(
            (request, answer, _) => AnswerAsync(request, answer, under, refused, done.Task));
        await using var dialled = peer.Dial();
        var forwarded = ForwardAsync(dialled);
        await under.Task.WaitAsync(Patience, TestCluster.Limit);
        var read = Assert.ThrowsAsync<PeerUnavailableException>(() => ReadAsync(dialled));
        await refused.Task.WaitAsync(Patience, TestCluster.Limit);

        // As long as a connection takes to end that waits for nobody.
        await Task.WhenAny(read, Task.Delay(TimeSpan.FromMilliseconds(300), TestCluster.Limit));
        done.SetResult();

        var answer = new BodyReader(await forwarded);
        Assert.Equal(42, answer.Int64());
        await read;
    }

    [Fact]
    public async Task AnAnswerThatDoesNotComeDoesNotHoldUpTheRefusal()
    {
        var under = new TaskCompletionSource();
        var refused = new TaskCompletionSource();
        var never = new TaskCompletionSource();
        await using var peer = await FakePeer.StartAsync(
            (request, answer, token) => AnswerAsync(
                request, answer, under, refused, never.Task.WaitAsync(token)));
        await using var dialled = peer.Dial();
        var forwarded = Assert.ThrowsAsync<PeerUnavailableException>(() => ForwardAsync(dialled));
        await under.Task.WaitAsync(Patience, TestCluster.Limit);

        var ended = await Assert.ThrowsAsync<PeerUnavailableException>(() => ReadAsync(dialled));
        Assert.DoesNotContain("did not answer within", ended.Message, StringComparison.Ordinal);
        var lost = await forwarded;
        Assert.True(lost.RequestLeft);
    }

    private static async ValueTask AnswerAsync(
        Frame request, FrameWriter answer, TaskCompletionSource under,
        TaskCompletionSource refused, Task done)
    {
        if (request.Type == MessageType.Forward)
        {
            under.SetResult();
            await done;
            answer.Int64(42);
            return;
        }

        refused.SetResult();
        throw new InvalidDataException("refused");
    }

    private static Task<ReadOnlyMemory<byte>> ForwardAsync(Peer peer) => peer.Client.CallAsync(
        MessageType.Forward, new FrameWriter(), Patience, TestCluster.Limit);

    private static Task<ReadOnlyMemory<byte>> ReadAsync(Peer peer) => peer.Client.CallAsync(
        MessageType.ReadIndex, new FrameWriter(), Patience, TestCluster.Limit);
}
