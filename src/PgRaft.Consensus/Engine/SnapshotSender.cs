// Sends one snapshot file in pieces, each acknowledged, so that a stall is seen and a broken
// transfer ends instead of hanging. An interrupted transfer starts over.
// Threading: one task. Failure: PeerUnavailableException.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Engine;

/// <summary>What a receiver says to a snapshot or a piece of it.</summary>
internal enum SnapshotAnswer : byte
{
    /// <summary>Refused: older term, or not the transfer it is receiving.</summary>
    Refused = 0,

    /// <summary>Go on, or installed.</summary>
    Accepted = 1,

    /// <summary>It has all that and more; nothing needs to be sent.</summary>
    AlreadyThere = 2,
}

/// <summary>One snapshot transfer to one member.</summary>
internal sealed class SnapshotSender(
    Peer peer, IMemberHost host, long term, OutgoingSnapshot snapshot, Action acknowledged)
{
    private const int ChunkBytes = 512 * 1024;
    private static readonly TimeSpan ChunkTimeout = TimeSpan.FromSeconds(10);

    // The last answer comes after the receiver has checked, synced and restored the state.
    private static readonly TimeSpan InstallTimeout = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan SignOfLife = TimeSpan.FromMilliseconds(250);
    private readonly FrameWriter _frame = new();

    /// <summary>Sends all of it; the result is the receiver's word on the installation.</summary>
    public async Task<Result<HeartbeatResult>> SendAsync(CancellationToken token)
    {
        long length = snapshot.Content.Length;
        _frame.Reset();
        _frame.Int64(term).Int64(snapshot.Index).Int64(snapshot.Term).Int64(length);
        var result = await CallAsync(MessageType.SnapshotBegin, ChunkTimeout, token)
            .ConfigureAwait(false);
        byte[] chunk = new byte[ChunkBytes];
        for (long offset = 0; result.Answer == SnapshotAnswer.Accepted && offset < length;)
        {
            int wanted = (int)Math.Min(ChunkBytes, length - offset);
            await OwnThread.Begin();
            int read = await snapshot.Content.ReadAtLeastAsync(chunk, wanted, true, token)
                .ConfigureAwait(false);
            _frame.Reset();
            _frame.Int64(term).Int64(snapshot.Index).Int64(offset).Bytes(chunk.AsSpan(0, read));
            result = await CallAsync(MessageType.SnapshotChunk, ChunkTimeout, token)
                .ConfigureAwait(false);
            offset += read;
            if (result.Answer == SnapshotAnswer.Accepted)
            {
                peer.Contact.SnapshotTaken(offset, length);
            }
        }

        if (result.Answer == SnapshotAnswer.Accepted)
        {
            _frame.Reset();
            _frame.Int64(term).Int64(snapshot.Index);
            result = await InstallAsync(length, token).ConfigureAwait(false);
        }

        // Hazard 4: never "with leader term", or the commit rule would count a member that has only
        // the snapshot as having the newest entry.
        return new Result<HeartbeatResult>
        {
            Term = result.Term,
            Value = result.Answer == SnapshotAnswer.Refused
                ? HeartbeatResult.Rejected
                : HeartbeatResult.Replicated,
        };
    }

    // Whoever waits for a node to be added would take its silence for standing still.
    private async Task<(long Term, SnapshotAnswer Answer)> InstallAsync(
        long length, CancellationToken token)
    {
        var call = CallAsync(MessageType.SnapshotEnd, InstallTimeout, token);
        while (peer.Contact.Advanced is not null
            && await Task.WhenAny(call, Task.Delay(SignOfLife, token)) // a timer
                .ConfigureAwait(false) != call
            && !token.IsCancellationRequested)
        {
            peer.Contact.SnapshotTaken(length, length);
        }

        return await call.ConfigureAwait(false);
    }

    private async Task<(long Term, SnapshotAnswer Answer)> CallAsync(
        MessageType type, TimeSpan timeout, CancellationToken token)
    {
        long sentAt = host.Clock.GetTimestamp();
        var body = new BodyReader(
            await peer.Snapshot.CallAsync(type, _frame, timeout, token).ConfigureAwait(false));
        peer.Contact.Answered();
        long theirTerm = body.Int64();
        var answer = (SnapshotAnswer)body.Byte();
        if (theirTerm <= term && answer != SnapshotAnswer.Refused)
        {
            peer.Contact.Acknowledged(term, sentAt);
            host.LeaderAcknowledged(term);
            acknowledged();
        }

        return (theirTerm, answer);
    }
}
