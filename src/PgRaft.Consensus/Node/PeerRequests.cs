// The server side of the peer protocol: what this node answers to members.
//
// Guards that act on requests are here: nothing from a node that is not of this founding, and one
// leader a term (hazard 12), no vote in the first election timeout after a start (hazard 8) nor
// within one of a leader's sign of life (hazards 23 and 24), no entry that could not be read back
// (hazard 36), a snapshot that is already covered is not refused but acknowledged, a refused append
// says where the logs part, and a node that is no member takes no entries and gives no votes
// (hazards 37 and 43). A candidate that the leader itself has let stand does not wait for the
// leader to fall silent (LetThrough).
// Threading: called concurrently for different connections; _turn keeps votes and appends apart,
// because a leader's lease rests on their order. Failure: a broken invariant or a storage error
// ends the node; everything else ends the connection it came from.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Transport;
using PgRaft.Core;

namespace PgRaft.Consensus.Node;

/// <summary>Handles members' requests for one node.</summary>
internal sealed partial class PeerRequests(RaftNode node, NodeOptions options, int forgottenFaithMs)
    : IPeerHandler, IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);

    // What was heard before the start is forgotten, so the start counts as a sign of life; and by
    // the promise that held then, which may have been for longer.
    private readonly long _startedAt = options.Clock.GetTimestamp();
    private long _heardAt;
    private long _messages;

    /// <summary>Requests received since start.</summary>
    public long Messages => Volatile.Read(ref _messages);

    /// <inheritdoc/>
    public Hello Greeting(Hello peer)
    {
        var mine = node.Hello(peer.Kind, peer.NodeId);
        if (peer.IdentityRefusal(mine) is null)
        {
            node.Versions.Heard(peer);
        }

        return mine;
    }

    /// <inheritdoc/>
    public async ValueTask HandleAsync(
        Hello peer, Frame request, FrameWriter answer, CancellationToken token)
    {
        Interlocked.Increment(ref _messages);
        try
        {
            RefuseStranger(peer);
            await DispatchAsync(peer.NodeId, request, answer, token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is InvariantViolatedException
            or PgraftException { Code: StatusCode.IoError or StatusCode.DiskFull })
        {
            node.Fail(e);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    private ValueTask DispatchAsync(
        int sender, Frame request, FrameWriter answer, CancellationToken token)
    {
        var body = new BodyReader(request.Body);
        return request.Type switch
        {
            MessageType.Append => AppendAsync(sender, body, answer, token),
            MessageType.PreVote => PreVoteAsync(sender, body, answer, token),
            MessageType.Vote => VoteAsync(sender, body, answer, token),
            MessageType.SnapshotBegin => SnapshotBeginAsync(sender, body, answer, token),
            MessageType.SnapshotChunk => SnapshotChunkAsync(sender, body, answer, token),
            MessageType.SnapshotEnd => SnapshotEndAsync(sender, body, answer, token),
            MessageType.ReadIndex => ReadIndexAsync(sender, answer, token),
            MessageType.Forward => ForwardAsync(sender, request.Body, answer, token),
            MessageType.TimeoutNow => TimeoutNow(sender, body, answer),
            MessageType.Report => Report(answer),
            MessageType.Join => JoinAsync(sender, body, answer, token),
            MessageType.Removed => RemovedAsync(sender, body, answer),
            _ => throw new InvalidDataException($"Unknown message type {(byte)request.Type}."),
        };
    }

    private ValueTask Report(FrameWriter answer)
    {
        node.Report().Write(answer);
        return ValueTask.CompletedTask;
    }

    // Hazard 12. Not only at the hello: this node may have been founded, have joined, or have gone
    // on alone since, and whom it left must not reach it over a connection that is still open. Who
    // belongs to no founding has no business with anybody but itself; who is of another would mix
    // two clusters. Ids are not compared here: a rightful candidate or leader may be a member by an
    // entry that this node does not have yet (hazard 30).
    private void RefuseStranger(Hello peer)
    {
        long mine = node.FoundingId;
        if (peer.FoundingId == 0 || (mine != 0 && mine != peer.FoundingId))
        {
            throw new InvalidDataException(
                $"node {peer.NodeId} does not belong to the cluster that this node belongs to");
        }
    }

    private async ValueTask PreVoteAsync(
        int sender, BodyReader body, FrameWriter answer, CancellationToken token)
    {
        var result = new Result<PreVoteResult> { Term = node.Log.Term };

        // Hazard 47: the vote itself needs the disk. Without it elections would follow one another
        // that nobody can win, each of which puts off whoever could.
        if (MayVote() && !node.DiskStandsStill)
        {
            long term = body.Int64();
            long lastIndex = body.Int64();
            long lastTerm = body.Int64();
            result = await node.Membership.VoteAsync(
                sender,
                () => node.Engine.OnPreVoteAsync(sender, term, lastIndex, lastTerm, token),
                token).ConfigureAwait(false);
        }

        // A removed node that does not know it asks when it has not heard of a leader for a while.
        answer.Int64(result.Term).Byte((byte)result.Value).Int64(node.NoMemberSince(sender));
    }

    private async ValueTask VoteAsync(
        int sender, BodyReader body, FrameWriter answer, CancellationToken token)
    {
        var result = new Result<bool> { Term = node.Log.Term };

        // Hazard 23: the engine looks at the leader's last sign of life before it waits for its
        // lock, and would vote right after an append that it acknowledged while it waited.
        await _turn.WaitAsync(token).ConfigureAwait(false);
        try
        {
            long term = body.Int64();
            long lastIndex = body.Int64();
            long lastTerm = body.Int64();
            long consentTerm = body.Rest.IsEmpty ? 0 : body.Int64();
            if (LetThrough(term, consentTerm)
                ? await StandAsideAsync(term).ConfigureAwait(false)
                : await MayVoteAndPromisesAsync().ConfigureAwait(false))
            {
                result = await node.Membership.VoteAsync(
                    sender,
                    () => node.Engine.OnVoteAsync(sender, term, lastIndex, lastTerm, token),
                    token).ConfigureAwait(false);
            }
        }
        finally
        {
            _turn.Release();
        }

        Invariants.LeaseExclusivity(node.HoldsLease, result.Value, result.Term);
        answer.Int64(result.Term).Byte(result.Value ? (byte)1 : (byte)0);
    }

    // A node that is no member may have lost its memory of a vote, or of entries that it has
    // acknowledged: it gives none until a leader has brought it up to date, and nobody needs it
    // before, because nobody counts it (hazards 37 and 43).
    // A leader's lease rests on the rest: no vote within the lower election timeout of its last
    // sign of life, which a restarted voter may have forgotten (hazard 8), nor while this node
    // leads itself.
    private bool MayVote()
    {
        if (!node.Membership.GivesVotes || node.HoldsLease || Since(_startedAt) <= forgottenFaithMs
            || Since(Volatile.Read(ref _heardAt)) <= options.ElectionTimeoutMs)
        {
            return false;
        }

        // Hazard 24: the engine keeps faith for its own randomised timeout, so the first candidate
        // would have to wait for the slowest voter. From here on the lower bound has passed.
        if (node.View.Tenure is null)
        {
            EnginePrivates.ForgetLeaderContact(node.Engine);
        }

        return true;
    }

    // From now on for the present timeout; how long it was before counts no more.
    private async ValueTask<bool> MayVoteAndPromisesAsync()
    {
        bool mayVote = MayVote();
        if (mayVote)
        {
            await node.Log.KeepFaithAsync(options.ElectionTimeoutMs).ConfigureAwait(false);
        }

        return mayVote;
    }

    private double Since(long timestamp) =>
        options.Clock.GetElapsedTime(timestamp).TotalMilliseconds;

    // Before the request is handled, not after: its answer is counted from when it was sent.
    private async ValueTask<Result<ReplicationStatus>> EngineAppendAsync(
        int sender, long term, List<LogRecord> records, long previousIndex,
        long previousTerm, long commitIndex, CancellationToken token)
    {
        RequireMembership(sender);
        RefuseSecondLeader(sender, term);
        await _turn.WaitAsync(token).ConfigureAwait(false);
        try
        {
            if (term >= node.Log.Term)
            {
                Volatile.Write(ref _heardAt, options.Clock.GetTimestamp());
            }

            var result = await node.Engine.OnAppendAsync(
                sender, term, records, previousIndex, previousTerm, commitIndex, token)
                .ConfigureAwait(false);
            if (records.Count > 0 && result.Value.Result != HeartbeatResult.Rejected)
            {
                Invariants.LogMatching(
                    previousIndex, previousTerm, node.Log.TermAt(previousIndex));
            }

            return result;
        }
        finally
        {
            _turn.Release();
        }
    }

    private async ValueTask AppendAsync(
        int sender, BodyReader body, FrameWriter answer, CancellationToken token)
    {
        long term = body.Int64();
        long previousIndex = body.Int64();
        long previousTerm = body.Int64();
        long commitIndex = body.Int64();
        if (body.Rest.Length > sizeof(int))
        {
            // The entries will have to be written, and this may be the thread of all sockets.
            await node.Log.Records.OnWriter();
        }

        var records = ReadRecords(ref body, previousIndex);
        RequireKnownVersions(records);
        SkipCovered(records, ref previousIndex, ref previousTerm);
        var result = await EngineAppendAsync(
            sender, term, records, previousIndex, previousTerm, commitIndex, token)
            .ConfigureAwait(false);
        long lastIndex = result.Value.LastIndex;
        if (result.Term <= term)
        {
            node.LeaderSeen(term, sender, commitIndex);
            await node.Membership.SettleAsync(token).ConfigureAwait(false);
            if (result.Value.Result == HeartbeatResult.Rejected)
            {
                lastIndex = LastPossibleMatch(previousIndex, lastIndex);
            }
        }

        answer.Int64(result.Term).Byte((byte)result.Value.Result).Int64(lastIndex);
    }

    // What a snapshot covers is committed, so whatever a leader has there is the same (Ongaro 2014
    // §3.6.3). Refused, the leader would look for the place where the logs part below it, where
    // there is nothing to compare.
    private void SkipCovered(
        List<LogRecord> records, ref long previousIndex, ref long previousTerm)
    {
        long covered = node.Log.Records.FirstIndex - 1;
        if (previousIndex < covered)
        {
            records.RemoveRange(0, (int)Math.Min(records.Count, covered - previousIndex));
            previousIndex = covered;
            previousTerm = node.Log.TermAt(covered);
        }
    }

    private static List<LogRecord> ReadRecords(ref BodyReader body, long previousIndex)
    {
        int count = body.Int32();
        var records = new List<LogRecord>(Math.Clamp(count, 0, 1024));
        for (int i = 1; i <= count; i++)
        {
            long term = body.Int64();
            var kind = (EntryKind)body.Byte();
            var payload = body.Bytes();
            RequireReadable(kind, payload);
            records.Add(new LogRecord(previousIndex + i, term, kind, payload));
        }

        return records;
    }

    // Hazard 36: what is in the log must be readable at the next start, or the member would never
    // start again. So it is refused before it is appended.
    private static void RequireReadable(EntryKind kind, ReadOnlyMemory<byte> payload)
    {
        if (kind > RecordHeader.LastKind)
        {
            throw new InvalidDataException($"entry of unknown kind {(byte)kind}");
        }

        if (kind == EntryKind.Configuration)
        {
            _ = Configuration.Decode(payload.Span);
        }
    }

    // A leader does not send what a member cannot read; one that does anyway must not get it into
    // this log, where it would be acknowledged and never applied.
    private void RequireKnownVersions(List<LogRecord> records)
    {
        int newest = 0;
        foreach (var record in records)
        {
            newest = Math.Max(newest, NodeStorage.DataVersionOf(record));
        }

        node.Versions.Holds(newest);
    }

    // Invariant (election safety, Ongaro 2014 §3.4): at most one leader a term.
    private void RefuseSecondLeader(int sender, long term)
    {
        int leader = node.View.LeaderOf(term);
        if (leader != 0 && leader != sender)
        {
            throw new InvalidDataException(
                $"node {sender} claims to lead term {term}, in which node {leader} leads");
        }
    }

    // Ongaro 2014 §3.5: skip back over the whole conflicting term instead of one entry a round.
    private long LastPossibleMatch(long previousIndex, long lastIndex)
    {
        long index = Math.Min(previousIndex, lastIndex);
        if (index == previousIndex)
        {
            long term = node.Log.TermAt(index);
            while (index > node.Log.CommitIndex && node.Log.TermAt(index) == term)
            {
                index--;
            }
        }

        return index;
    }

    private async ValueTask SnapshotBeginAsync(
        int sender, BodyReader body, FrameWriter answer, CancellationToken token)
    {
        long term = body.Int64();
        long index = body.Int64();
        long snapshotTerm = body.Int64();
        long length = body.Int64();
        bool accepted = await KeepFaithAsync(sender, term, index, snapshotTerm, token)
            .ConfigureAwait(false);
        var status = SnapshotAnswer.Refused;
        if (accepted)
        {
            status = index <= node.Log.CommitIndex
                ? SnapshotAnswer.AlreadyThere
                : SnapshotAnswer.Accepted;
        }

        if (status == SnapshotAnswer.Accepted)
        {
            await OwnThread.Begin();
            node.Inbox.Begin(sender, term, index, snapshotTerm, length);
        }

        answer.Int64(node.Log.Term).Byte((byte)status);
    }

    private async ValueTask SnapshotChunkAsync(
        int sender, BodyReader body, FrameWriter answer, CancellationToken token)
    {
        long term = body.Int64();
        long index = body.Int64();
        long offset = body.Int64();
        bool accepted = await KeepFaithAsync(sender, term, index, -1, token).ConfigureAwait(false);
        if (accepted)
        {
            var piece = body.Bytes();
            await OwnThread.Begin();
            accepted = node.Inbox.Write(sender, term, index, offset, piece.Span);
        }

        answer.Int64(node.Log.Term)
            .Byte((byte)(accepted ? SnapshotAnswer.Accepted : SnapshotAnswer.Refused));
    }

    private async ValueTask SnapshotEndAsync(
        int sender, BodyReader body, FrameWriter answer, CancellationToken token)
    {
        long term = body.Int64();
        long index = body.Int64();
        var status = SnapshotAnswer.Refused;
        if (node.Inbox.Take(sender, term, index) is { } snapshot)
        {
            using (snapshot.File)
            {
                long theirTerm = await InstallAsync(sender, term, snapshot, token)
                    .ConfigureAwait(false);
                if (theirTerm <= term && node.Log.CommitIndex >= index)
                {
                    status = SnapshotAnswer.Accepted;
                    await node.Membership.SettleAsync(token).ConfigureAwait(false);
                }
            }
        }

        answer.Int64(node.Log.Term).Byte((byte)status);
    }

    private async ValueTask<long> InstallAsync(
        int sender, long term, IncomingSnapshot snapshot, CancellationToken token)
    {
        RequireMembership(sender);
        RefuseSecondLeader(sender, term);
        await _turn.WaitAsync(token).ConfigureAwait(false);
        try
        {
            if (term >= node.Log.Term)
            {
                Volatile.Write(ref _heardAt, options.Clock.GetTimestamp());
            }

            var result = await node.Engine.OnSnapshotAsync(sender, term, snapshot, token)
                .ConfigureAwait(false);
            return result.Term;
        }
        finally
        {
            _turn.Release();
        }
    }

    // A transfer may take longer than an election timeout; each piece of it is also a heartbeat.
    private async ValueTask<bool> KeepFaithAsync(
        int sender, long term, long previousIndex, long previousTerm, CancellationToken token)
    {
        var result = await EngineAppendAsync(
            sender, term, [], previousIndex, previousTerm, 0, token).ConfigureAwait(false);
        if (result.Term > term)
        {
            return false;
        }

        // What a snapshot covers is committed.
        node.LeaderSeen(term, sender, previousIndex);
        return true;
    }

    // A node that was removed may not know it yet: it must not serve clients through this one.
    private void RefuseFormerMember(int sender)
    {
        if (!node.Membership.Active.Contains(sender))
        {
            throw new InvalidDataException($"node {sender} is not a member of the cluster");
        }
    }

    private async ValueTask ReadIndexAsync(int sender, FrameWriter answer, CancellationToken token)
    {
        RefuseFormerMember(sender);
        try
        {
            long index = await node.LeaderReadIndexAsync(token).ConfigureAwait(false);
            answer.Int32((int)StatusCode.Ok).Int64(index);
        }
        catch (PgraftException e)
        {
            answer.Int32((int)e.Code).Text(e.Message);
        }
    }

    private async ValueTask ForwardAsync(
        int sender, ReadOnlyMemory<byte> body, FrameWriter answer, CancellationToken token)
    {
        RefuseFormerMember(sender);
        var handler = node.ForwardHandler
            ?? throw new InvalidDataException("This node takes no forwarded requests.");
        var result = await handler(body, token).ConfigureAwait(false);
        answer.Raw(result.Span);
    }
}
