// A leader that is not there: what it would send a follower, over a real connection, and what the
// follower promises by its answers.
// Threading: one task. Failure: PeerUnavailableException when the follower is gone; a refusal that
// is none of the test's fails it.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FakeLeader(TestNode follower, int nodeId, long term, Promise promise)
    : IAsyncDisposable
{
    private const int SnapshotPieceBytes = 32 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private readonly PeerChannel _channel = follower.CallAs(nodeId);

    public ValueTask DisposeAsync() => _channel.DisposeAsync();

    /// <summary>Asks for the follower's vote.</summary>
    public async Task AskForVoteAsync()
    {
        var body = await CallAsync(
            MessageType.Vote, new FrameWriter().Int64(term).Int64(1000).Int64(term));
        long theirTerm = body.Int64();
        promise.Saw(theirTerm, body.Byte() != 0 ? nodeId : 0);
    }

    /// <summary>Sends entries that follow the last one the follower has acknowledged.</summary>
    public Task AppendAsync(long commitIndex, params (EntryKind Kind, byte[] Payload)[] entries) =>
        AppendAfterAsync(promise.LastIndex, promise.LastTerm, commitIndex, entries);

    /// <summary>Sends entries that follow a certain one.</summary>
    public async Task AppendAfterAsync(
        long previousIndex, long previousTerm, long commitIndex,
        params (EntryKind Kind, byte[] Payload)[] entries)
    {
        var records = entries
            .Select((e, i) => new LogRecord(previousIndex + 1 + i, term, e.Kind, e.Payload))
            .ToArray();
        var request = new FrameWriter().Int64(term).Int64(previousIndex).Int64(previousTerm)
            .Int64(commitIndex).Int32(records.Length);
        foreach (var record in records)
        {
            request.Int64(term).Byte((byte)record.Kind).Bytes(record.Payload.Span);
        }

        var body = await CallAsync(MessageType.Append, request);
        promise.Saw(body.Int64(), 0);
        Assert.NotEqual(HeartbeatResult.Rejected, (HeartbeatResult)body.Byte());
        promise.Acknowledged(records);
    }

    /// <summary>Sends a snapshot, which the follower installs.</summary>
    public async Task InstallAsync(long index, long snapshotTerm, byte[] file)
    {
        var begin = new FrameWriter().Int64(term).Int64(index).Int64(snapshotTerm)
            .Int64(file.Length);
        await AcceptedAsync(MessageType.SnapshotBegin, begin);
        for (int at = 0; at < file.Length; at += SnapshotPieceBytes)
        {
            var piece = file.AsSpan(at, Math.Min(SnapshotPieceBytes, file.Length - at));
            var chunk = new FrameWriter().Int64(term).Int64(index).Int64(at).Bytes(piece);
            await AcceptedAsync(MessageType.SnapshotChunk, chunk);
        }

        await AcceptedAsync(MessageType.SnapshotEnd, new FrameWriter().Int64(term).Int64(index));
        promise.Installed(index, snapshotTerm);
    }

    private async Task AcceptedAsync(MessageType type, FrameWriter request)
    {
        var body = await CallAsync(type, request);
        promise.Saw(body.Int64(), 0);
        Assert.Equal(SnapshotAnswer.Accepted, (SnapshotAnswer)body.Byte());
    }

    private async Task<BodyReader> CallAsync(MessageType type, FrameWriter request) =>
        new(await _channel.CallAsync(type, request, Patience, TestCluster.Limit));
}
