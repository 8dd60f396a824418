// Requests as a peer sends them to a real node, one line each.
// Threading: as PeerChannel. Failure: PeerUnavailableException.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Tests.Guards;

internal static class PeerCalls
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>Asks for a vote as a candidate with more entries than anybody.</summary>
    public static async Task<(long Term, bool Granted)> VoteAsync(this PeerChannel voter, long term)
    {
        var request = new FrameWriter().Int64(term).Int64(1_000_000).Int64(term);
        var body = new BodyReader(await voter.CallAsync(
            MessageType.Vote, request, Patience, TestCluster.Limit));
        return (body.Int64(), body.Byte() != 0);
    }

    /// <summary>Sends entries, or a heartbeat, as the leader of a term.</summary>
    public static async Task<(long Term, HeartbeatResult Result, long LastIndex)> AppendAsync(
        this PeerChannel follower, long term, long previousIndex, long previousTerm,
        params LogRecord[] records)
    {
        var request = new FrameWriter()
            .Int64(term).Int64(previousIndex).Int64(previousTerm).Int64(0).Int32(records.Length);
        foreach (var record in records)
        {
            request.Int64(record.Term).Byte((byte)record.Kind).Bytes(record.Payload.Span);
        }

        var body = new BodyReader(await follower.CallAsync(
            MessageType.Append, request, Patience, TestCluster.Limit));
        return (body.Int64(), (HeartbeatResult)body.Byte(), body.Int64());
    }

    /// <summary>Sends a snapshot file whole.</summary>
    /// <returns>The answer to the last message.</returns>
    public static async Task<byte> SendSnapshotAsync(
        this PeerChannel follower, long term, SnapshotInfo info, byte[] file)
    {
        var begin = new FrameWriter()
            .Int64(term).Int64(info.Index).Int64(info.Term).Int64(file.Length);
        await follower.CallAsync(
            MessageType.SnapshotBegin, begin, Patience, TestCluster.Limit);
        var piece = new FrameWriter().Int64(term).Int64(info.Index).Int64(0).Bytes(file);
        await follower.CallAsync(
            MessageType.SnapshotChunk, piece, Patience, TestCluster.Limit);
        var end = new FrameWriter().Int64(term).Int64(info.Index);
        var body = new BodyReader(await follower.CallAsync(
            MessageType.SnapshotEnd, end, Patience, TestCluster.Limit));
        body.Int64();
        return body.Byte();
    }
}
