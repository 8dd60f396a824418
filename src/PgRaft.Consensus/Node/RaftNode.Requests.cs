// What callers ask of consensus: proposals, reads, waiting, forwarding.
// Threading: any thread. Failure: PgraftException with the three outcomes kept apart: done, not
// done, unknown.
using System.Diagnostics;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Transport;
using PgRaft.Core;
using PgRaft.Core.Commands;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    // How long a request may hang on a connection; the caller's token is usually sooner.
    private static readonly TimeSpan LongestCall = TimeSpan.FromMinutes(10);

    // Ends when proposals that found the term closed should look again.
    private TaskCompletionSource _reopened = NewSignal();

    /// <inheritdoc/>
    public async ValueTask<Proposal> ProposeAsync(
        ReadOnlyMemory<byte> command, long expectedTerm, CancellationToken token)
    {
        long began = Stopwatch.GetTimestamp();
        try
        {
            var proposal = await ProposeHereAsync(command, expectedTerm, token)
                .ConfigureAwait(false);
            Meters.Proposal.RecordSince(began);
            Meters.ProposalsApplied.Increment();
            return proposal;
        }
        catch (PgraftException e)
        {
            (e.Code == StatusCode.OutcomeUnknown
                ? Meters.ProposalsUnknown
                : Meters.ProposalsRefused).Increment();
            throw;
        }
    }

    private async ValueTask<Proposal> ProposeHereAsync(
        ReadOnlyMemory<byte> command, long expectedTerm, CancellationToken token)
    {
        var tenure = View.Tenure ?? throw NotLeaderHere();
        if (expectedTerm > tenure.Term)
        {
            throw new PgraftException(
                StatusCode.NotDone, $"term {expectedTerm} is not the current term",
                $"The current term is {tenure.Term}.");
        }

        if (expectedTerm != 0 && expectedTerm < tenure.Term)
        {
            return OutcomeOfPastTerm(command.Span, tenure.Term);
        }

        if (token.IsCancellationRequested)
        {
            throw new PgraftException(StatusCode.NotDone, "time ran out before the write was sent");
        }

        RequireReadableByAll(command.Span);
        var pending = Log.Propose(tenure.Term, command.Span)
            ?? await ProposeLaterAsync(tenure, command, token).ConfigureAwait(false);
        Engine.Replicate();
        try
        {
            return await pending.Outcome.WaitAsync(token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            throw PendingProposal.Unknown(
                $"It was sent as log index {pending.Index} of term {pending.Term}, "
                + "but was not committed in time.");
        }
    }

    // While leadership is being handed over the term is closed, and the proposal waits: until it is
    // open again, or somebody else leads.
    private async ValueTask<PendingProposal> ProposeLaterAsync(
        Tenure tenure, ReadOnlyMemory<byte> command, CancellationToken token)
    {
        // The caller may use its memory for something else once this method has returned.
        command = command.ToArray();
        try
        {
            while (true)
            {
                var reopened = Volatile.Read(ref _reopened);
                if (View.Tenure != tenure || Log.Term != tenure.Term)
                {
                    throw NotLeaderHere();
                }

                RequireReadableByAll(command.Span);
                if (Log.Propose(tenure.Term, command.Span) is { } pending)
                {
                    return pending;
                }

                await reopened.Task.WaitAsync(token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            throw new PgraftException(
                StatusCode.NotDone, "the write was not done: leadership was being transferred",
                "It waited until its time ran out.", "Run it again.");
        }
    }

    private void WakeProposals() => Interlocked.Exchange(ref _reopened, NewSignal()).TrySetResult();

    private static TaskCompletionSource NewSignal() =>
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    // A member that reads less may have come since the command was made.
    private void RequireReadableByAll(ReadOnlySpan<byte> command)
    {
        int version = Command.VersionOf(command);
        if (version > Versions.Written)
        {
            throw new PgraftException(
                StatusCode.NotDone,
                $"the write has data version {version}, which not every member reads",
                $"The newest that all of them read is {Versions.Written}.");
        }

        Versions.Holds(version);
    }

    // A tenure begins when an entry of its own term has been applied, and with it everything of
    // earlier terms that will ever be (Ongaro 2014 §3.6.2): what has no result by now never will.
    private Proposal OutcomeOfPastTerm(ReadOnlySpan<byte> command, long term)
    {
        var result = new ApplyResult
        {
            Status = StatusCode.NotDone,
            Revision = _stateMachine.Kv.Revision,
        };
        if (Command.TryDecode(command, out var decoded) == CommandDecodeStatus.Ok
            && _stateMachine.TryFindResult(decoded.Id, out var first))
        {
            result = first;
        }

        return new Proposal(result.Index, term, result);
    }

    /// <inheritdoc/>
    public async ValueTask<long> ReadBarrierAsync(CancellationToken token)
    {
        try
        {
            long readIndex = await ReadIndexAsync(token).ConfigureAwait(false);
            await Applier.WaitAppliedAsync(readIndex, token).ConfigureAwait(false);
            return Applier.AppliedIndex;
        }
        catch (OperationCanceledException)
        {
            throw new PgraftException(
                StatusCode.TimedOut, "the read was not confirmed by a majority in time",
                "Nothing was changed.",
                "Check that a majority of the members is up and connected.");
        }
    }

    /// <inheritdoc/>
    public ValueTask WaitCommittedAsync(long index, CancellationToken token) =>
        Log.WaitCommittedAsync(index, token);

    /// <inheritdoc/>
    public ValueTask WaitAppliedAsync(long index, CancellationToken token) =>
        Applier.WaitAppliedAsync(index, token);

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>> ForwardToLeaderAsync(
        ReadOnlyMemory<byte> request, CancellationToken token)
    {
        int leaderId = View.Current(Log.Term, out _);
        var peer = leaderId == 0 ? null : Membership.FindPeer(leaderId);
        if (peer is null)
        {
            throw NoLeader();
        }

        try
        {
            var frame = new FrameWriter().Raw(request.Span);
            return await peer.Client.CallAsync(MessageType.Forward, frame, LongestCall, token)
                .ConfigureAwait(false);
        }
        catch (PeerUnavailableException e) when (!e.RequestLeft)
        {
            throw new PgraftException(
                StatusCode.NoLeader, $"the leader, node {leaderId}, cannot be reached", e.Message,
                null, e);
        }
        catch (Exception e) when (e is PeerUnavailableException or OperationCanceledException)
        {
            throw PendingProposal.Unknown(
                $"It was sent to the leader, node {leaderId}, which did not answer: {e.Message}");
        }
    }

    /// <inheritdoc/>
    public ValueTask<LogEntryView> ReadEntryAsync(long index, CancellationToken token)
    {
        var log = Disk.Log;
        var found = new List<LogRecord>(1);
        if (index < 1 || log.Read(index, 1, int.MaxValue, found) == 0)
        {
            throw new PgraftException(
                StatusCode.NotFound, $"log index {index} is not in the log",
                $"The log holds indexes {log.FirstIndex} to {log.LastIndex}.");
        }

        var record = found[0];
        return new(new LogEntryView(
            record.Index, record.Term, record.Kind == EntryKind.Configuration,
            record.Payload));
    }

    /// <inheritdoc/>
    public Task ProbeStorageAsync(CancellationToken token) =>
        OwnThread.RunAsync(
            () =>
            {
                Disk.DataDirectory.Probe();
                return true;
            },
            token);

    /// <summary>The leader's read index, confirmed by a majority after the call began.</summary>
    /// <remarks><i>Source</i>: Ongaro 2014 §6.4. The tenure began with a committed entry of its
    /// term, so the commit index is not behind an earlier leader's.</remarks>
    internal async ValueTask<long> LeaderReadIndexAsync(CancellationToken token)
    {
        var tenure = View.Tenure ?? throw NotLeaderHere();
        long readIndex = Log.CommitIndex;
        long askedAt = _options.Clock.GetTimestamp();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(token, tenure.Ended);
        try
        {
            // Hazard 31: the engine may answer at the end of a round that began before the call, or
            // with no round at all. What a majority acknowledged since is what counts.
            do
            {
                Log.Pacer.BeginNow();
                await Engine.ForceReplicationAsync(either.Token).ConfigureAwait(false);
            }
            while (!IsAcknowledgedSince(askedAt, tenure.Term));
        }
        catch (Exception e) when (e is NotLeaderException
            || (e is OperationCanceledException && !token.IsCancellationRequested))
        {
            throw NotLeaderHere();
        }

        return View.Tenure == tenure ? readIndex : throw NotLeaderHere();
    }

    private async ValueTask<long> ReadIndexAsync(CancellationToken token)
    {
        while (true)
        {
            long seen = View.Version;
            try
            {
                return View.Tenure is not null
                    ? await LeaderReadIndexAsync(token).ConfigureAwait(false)
                    : await AskReadIndexAsync(token).ConfigureAwait(false);
            }
            catch (PgraftException e) when (e.Code is StatusCode.NotLeader or StatusCode.NoLeader)
            {
                // A read changes nothing: asking again, when who leads has changed, is safe.
                await View.WaitChangeAsync(seen, token).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask<long> AskReadIndexAsync(CancellationToken token)
    {
        int leaderId = View.Current(Log.Term, out _);
        var peer = (leaderId == 0 ? null : Membership.FindPeer(leaderId)) ?? throw NoLeader();
        try
        {
            var timeout = TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs);
            var body = new BodyReader(
                await peer.Client
                    .CallAsync(MessageType.ReadIndex, new FrameWriter(), timeout, token)
                    .ConfigureAwait(false));
            var status = (StatusCode)body.Int32();
            return status == StatusCode.Ok
                ? body.Int64()
                : throw new PgraftException(StatusCode.NotLeader, body.Text());
        }
        catch (PeerUnavailableException e)
        {
            throw new PgraftException(
                StatusCode.NoLeader, $"the leader, node {leaderId}, cannot be reached", e.Message,
                null, e);
        }
    }

    private PgraftException NoLeader() => new(
        StatusCode.NoLeader, "no leader is known",
        Membership.Active.IsEmpty ? "This node belongs to no cluster yet." : null,
        Membership.Active.IsEmpty
            ? "Found one with pgraft_init(), or add this node on the leader with pgraft_add_node()."
            : "Wait for an election, or check that a majority of the members is up and connected.");
}
