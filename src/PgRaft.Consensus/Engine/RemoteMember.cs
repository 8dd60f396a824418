// A peer as a voter: the engine's calls become requests on the wire.
//
// Why it is hard: the engine takes one unanswered call for an unavailable member and gives up
// leadership when a majority is unavailable once. So an append is tried again, on a fresh
// connection, until its deadline (hazard 11; repeating is harmless because the receiver skips what
// it has). Snapshots have no deadline, only a limit on silence.
// Threading: any thread; the engine replicates to a member from one task at a time. Failure:
// MemberUnavailableException.
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Engine;

/// <summary>What a remote member needs of its node.</summary>
internal interface IMemberHost
{
    /// <summary>The log that is replicated.</summary>
    EngineLog Log { get; }

    /// <summary>Lower election timeout.</summary>
    int ElectionTimeoutMs { get; }

    /// <summary>Most entries in one append request.</summary>
    int BatchSizeEntries { get; }

    /// <summary>What leases are measured by.</summary>
    TimeProvider Clock { get; }

    /// <summary>Whether the leader of a term has let this node stand for election.</summary>
    bool MayStandEarly(long term);
    /// <summary>Whether a node counts in the configuration in use; one that catches up does
    /// not yet.</summary>
    bool IsVoter(int nodeId);

    /// <summary>A peer accepted this node as leader of a term.</summary>
    void LeaderAcknowledged(long term);

    /// <summary>A peer refused entries and said where to continue: start a round at once.</summary>
    void ReplicateAgain();

    /// <summary>A heartbeat was sent.</summary>
    void HeartbeatSent();

    /// <summary>A member says that this node is not one in the committed configuration of an
    /// index, which may be an old one.</summary>
    void ToldRemoved(long configurationIndex, int teller);

    /// <summary>This node's elections.</summary>
    Ballots Ballots { get; }

    /// <summary>A peer was asked for its vote, and has answered or not.</summary>
    void Balloted();
}

/// <summary>A voter behind the network.</summary>
internal sealed partial class RemoteMember(MemberAddress address, Peer peer, IMemberHost host)
    : Member(address)
{
    private const int MaxAppendBytes = 1024 * 1024;

    // Longer appends are catching up, and say more of bandwidth than of a heartbeat's way.
    private const int MaxMeasuredBytes = 64 * 1024;
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(20);
    private readonly List<LogRecord> _batch = [];
    private readonly FrameWriter _append = new();
    private readonly SharedDeadline _deadline = new();
    private readonly Lock _gate = new();
    private int _calls;
    private int _disposed;
    private bool _closed;

    /// <inheritdoc/>
    public override bool IsRemote => true;

    /// <summary>The connections to it.</summary>
    public Peer Peer => peer;

    private TimeSpan AppendTimeout => TimeSpan.FromMilliseconds(host.ElectionTimeoutMs);

    /// <inheritdoc/>
    public override async Task<Result<ReplicationStatus>> AppendEntriesAsync<TEntry, TList>(
        long term, TList entries, long prevLogIndex, long prevLogTerm, long commitIndex,
        CancellationToken token)
    {
        var range = entries as LogRange
            ?? throw new NotSupportedException("The engine sent entries that are not of our log.");
        RequireThere(term);
        Enter();
        try
        {
            return await AppendRangeAsync(
                term, range.Last, prevLogIndex, prevLogTerm, commitIndex, token)
                .ConfigureAwait(false);
        }
        catch (MemberUnavailableException)
        {
            Missed(term);
            throw;
        }
        finally
        {
            Leave();
        }
    }

    private async Task<Result<ReplicationStatus>> AppendRangeAsync(
        long term, long last, long previous, long previousTerm, long commitIndex,
        CancellationToken token)
    {
        if (NeedsNoMessage(term, last))
        {
            return Replicated(term, term, last, host.Log.TermAt(last));
        }

        BeginBehindMatch(term, ref previous, ref previousTerm);
        long start = host.Clock.GetTimestamp();
        while (true)
        {
            if (!ReadBatch(term, previous, last))
            {
                return Touched(term, previous);
            }

            var result = await AppendBatchAsync(
                term, previous, previousTerm, Math.Max(commitIndex, host.Log.CommitIndex), token)
                .ConfigureAwait(false);
            if (result.Value.Result == HeartbeatResult.Rejected)
            {
                if (result.Term > term || !StepBack(
                    result.Value.LastIndex, ref previous, ref previousTerm))
                {
                    return result;
                }

                continue;
            }

            bool isCut = _batch.Count == 0 && previous < last;
            if (_batch.Count > 0)
            {
                previous = _batch[^1].Index;
                previousTerm = _batch[^1].Term;
            }

            peer.Contact.Matched(term, previous);
            if (isCut)
            {
                ContinueAt(previous + 1);
                return Touched(term, previous);
            }

            if (previous >= last)
            {
                NeedsNoEntries();
                return Replicated(result.Term, term, previous, previousTerm);
            }

            // Hazard 35: the round of all members ends only when this call does, and meanwhile no
            // other round begins: no heartbeat, no commit. So a long catch-up goes in pieces.
            if (host.Clock.GetElapsedTime(start) > AppendTimeout / 10)
            {
                ContinueAt(previous + 1);
                host.ReplicateAgain();
                return Touched(term, previous);
            }

            // More than one batch means catching up, which may read from disk; the answer arrived
            // on the thread that reads the connection.
            await Task.Yield();
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            EndSnapshot();
            _ = CloseLaterAsync();
        }

        base.Dispose(disposing);
    }

    // Hazard 26: a member is disposed when it is removed, but the engine may still be in a round
    // that needs its answer: the one before the removal took effect. Without it the round of the
    // last two members would never end. So it goes on answering for as long as a round may take.
    private async Task CloseLaterAsync()
    {
        // The engine does not tell when its last round with this member has ended.
        await Task.Delay(AppendTimeout).ConfigureAwait(false);
        bool isLast;
        lock (_gate)
        {
            _closed = true;
            isLast = _calls == 0;
        }

        if (isLast)
        {
            Close();
        }
    }

    private void Enter()
    {
        lock (_gate)
        {
            if (_closed)
            {
                throw new MemberUnavailableException(this, "the member was removed");
            }

            _calls++;
        }
    }

    private void Leave()
    {
        bool isLast;
        lock (_gate)
        {
            isLast = --_calls == 0 && _closed;
        }

        if (isLast)
        {
            Close();
        }
    }

    private void Close()
    {
        _ = peer.DisposeAsync().AsTask();
        _deadline.Dispose();
    }

    // An answer that says nothing about the entries: the next round begins after this index.
    private static Result<ReplicationStatus> Touched(long term, long lastIndex) => new()
    {
        Term = term,
        Value = new ReplicationStatus
        {
            Result = HeartbeatResult.Rejected,
            LastIndex = lastIndex,
        },
    };

    private static Result<ReplicationStatus> Replicated(
        long theirTerm, long term, long lastIndex, long lastTerm) => new()
        {
            Term = theirTerm,
            Value = new ReplicationStatus
            {
                // Hazard 5: what counts for the commit rule is whether the last entry the member
                // now has is of this term, also when it was acknowledged in an earlier round.
                Result = lastTerm == term
                ? HeartbeatResult.ReplicatedWithLeaderTerm
                : HeartbeatResult.Replicated,
                LastIndex = lastIndex,
            },
        };

    // What was proposed since the round began goes along, as far as there is room (hazard 46).
    // False when they were compacted meanwhile: the next round sends the snapshot.
    private bool ReadBatch(long term, long previous, long last)
    {
        _batch.Clear();
        long end = Math.Max(last, host.Log.Records.LastIndex);
        int count = (int)Math.Min(end - previous, host.BatchSizeEntries);
        if (count > 0
            && host.Log.Records.Read(previous + 1, count, MaxAppendBytes, _batch) == 0)
        {
            return false;
        }

        LeaveOutLaterTerms(term);
        LeaveOutOwnRemoval();
        return true;
    }

    // A member that got the entry which removes it, when the others did not, would refuse them its
    // vote for their shorter logs and could not stand for election itself (Ongaro 2014 §4.2.2).
    private void LeaveOutOwnRemoval()
    {
        for (int i = 0; i < _batch.Count; i++)
        {
            var record = _batch[i];
            if (record.Kind == EntryKind.Configuration && record.Index > host.Log.CommitIndex
                && !Configuration.Decode(record.Payload.Span).Contains(Address.NodeId))
            {
                _batch.RemoveRange(i, _batch.Count - i);
                return;
            }
        }
    }

    // Hazard 25: to the engine a refusal is the end of the round for this member, and with another
    // member dead the next round begins only at that one's deadline. A new leader's first append is
    // always refused, because it is probed with the leader's own first entry. So the place where
    // the logs agree is looked for here; only a compacted one is left to the engine, which then
    // sends the snapshot.
    private bool StepBack(long lastPossibleMatch, ref long previous, ref long previousTerm)
    {
        long index = Math.Min(previous - 1, lastPossibleMatch);
        long term = index == 0 ? 0 : host.Log.TermAt(index);
        if (index < 0 || term < 0 || index + 1 < host.Log.Records.FirstIndex)
        {
            host.ReplicateAgain();
            return false;
        }

        previous = index;
        previousTerm = term;
        return true;
    }

    private async Task<Result<ReplicationStatus>> AppendBatchAsync(
        long term, long previous, long previousTerm, long commitIndex, CancellationToken token)
    {
        long round = host.Log.RoundsBegun;
        WriteAppend(term, previous, previousTerm, commitIndex);
        if (_batch.Count == 0)
        {
            host.HeartbeatSent();
        }

        bool isMeasured = _append.Frame.Length <= MaxMeasuredBytes;
        var (answer, sentAt) = await CallUntilDeadlineAsync(token).ConfigureAwait(false);
        if (_batch.Count > 0)
        {
            peer.Meters.Replication.Record(host.Clock.GetTimestamp() - sentAt);
        }

        if (isMeasured)
        {
            peer.Contact.RoundTrip.Measured(sentAt);
        }

        var body = new BodyReader(answer);
        long theirTerm = body.Int64();
        var status = (HeartbeatResult)body.Byte();
        long lastIndex = body.Int64();
        if (theirTerm <= term)
        {
            peer.Contact.Acknowledged(term, sentAt);
            Volatile.Write(ref _acknowledgedRound, round);
            host.LeaderAcknowledged(term);
        }

        return new Result<ReplicationStatus>
        {
            Term = theirTerm,
            Value = new ReplicationStatus { Result = status, LastIndex = lastIndex },
        };
    }

    private void WriteAppend(long term, long previous, long previousTerm, long commitIndex)
    {
        _append.Reset();
        _append.Int64(term).Int64(previous).Int64(previousTerm).Int64(commitIndex);
        _append.Int32(_batch.Count);
        foreach (var record in _batch)
        {
            _append.Int64(record.Term).Byte((byte)record.Kind).Bytes(record.Payload.Span);
        }
    }

    private async Task<(ReadOnlyMemory<byte> Answer, long SentAt)> CallUntilDeadlineAsync(
        CancellationToken token)
    {
        var deadline = _deadline.Next(AppendTimeout);
        while (true)
        {
            long sentAt = host.Clock.GetTimestamp();
            try
            {
                var answer = await CheckedAsync(
                    peer.Consensus.CallAsync(MessageType.Append, _append, deadline, token))
                    .ConfigureAwait(false);
                return (answer, sentAt);
            }
            catch (MemberUnavailableException) when (!deadline.IsCancellationRequested
                && !Volatile.Read(ref _closed))
            {
                // A pause between dials, not a wait for an event: a refused port answers at once.
                await Task.Delay(RetryPause, token).ConfigureAwait(false);
            }
        }
    }

    private async Task<ReadOnlyMemory<byte>> CheckedAsync(Task<ReadOnlyMemory<byte>> call)
    {
        try
        {
            var answer = await call
                .ConfigureAwait(false);
            peer.Contact.Answered();
            return answer;
        }
        catch (PeerUnavailableException e)
        {
            peer.Contact.AttemptFailed();
            throw new MemberUnavailableException(this, e.Message, e);
        }
    }
}
