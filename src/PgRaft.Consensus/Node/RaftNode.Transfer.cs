// Handing leadership over on purpose (Ongaro 2014 §3.10): to a member of the operator's choice, or
// before this node stops or is removed.
//
// Why it is hard: voters keep faith with a leader for an election timeout, because its lease rests
// on that, and a handover must not take so long. So the leader lets the other stand early, and the
// voters let it through (PeerRequests.LetThrough). What was allowed may be used at any later time:
// by a message that was held up, or twice. Therefore the lease of this term is given up for good
// before the permission leaves (LeaderLease.Cede, Invariants.LeaseBeforeConsent); and when nobody
// makes use of it, this node does so itself, and leads on in a term of its own that comes after.
//
//   catch up        writes go on
//   closed          writes wait; the target has everything, and has just answered
//   -- up to here it can be called off, and nothing has happened --
//   lease given up  pgraft_is_leader() is false everywhere
//   asked           the target stands at once, and usually leads a few milliseconds later
//   outcome         another leads; or nobody does in time, and this node stands itself
//
// Writes that wait are told that this node does not lead once it does not, and go to the new leader
// (ProposalRouter). The time for which they wait is bounded at each step.
// Threading: any thread; one handover at a time (_handingOver). Failure: PgraftException as
// IRaftNode says; a broken invariant ends the node.
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Transport;
using PgRaft.Core;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    // An election timeout may be a minute, and the worker must end in five seconds.
    private const int LongestStopMs = 2000;
    private int _handingOver;
    private Task<int> _completing = Task.FromResult(0);

    /// <summary>What becomes of leadership when the target does not take it.</summary>
    private enum Otherwise
    {
        /// <summary>This node leads on, in a new term.</summary>
        LeadOn,

        /// <summary>This node gives it up all the same.</summary>
        Resign,
    }

    // Writes may wait this long for the target to have everything, and again this long for it to
    // lead.
    private TimeSpan Patience => TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs / 2.0);

    private TimeSpan Recently => TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs);

    /// <inheritdoc/>
    public async Task TransferLeadershipAsync(int targetId, CancellationToken token)
    {
        var tenure = View.Tenure ?? throw NotLeaderHere();
        if (targetId == SelfId)
        {
            await ConfirmLeadershipAsync(token).ConfigureAwait(false);
            return;
        }

        var target = targetId == 0 ? BestTarget(tenure.Term) : FindTarget(targetId);
        int leader = await HandOverAsync(tenure, target, Otherwise.LeadOn, token)
            .ConfigureAwait(false);
        if (leader != target.Address.NodeId)
        {
            throw NotTaken(target.Address.NodeId, leader);
        }
    }

    /// <inheritdoc/>
    public async Task PrepareToStopAsync()
    {
        if (View.Tenure is not { } tenure || _failure.Task.IsCompleted
            || Membership.Remotes.Length == 0)
        {
            return;
        }

        using var limit = new CancellationTokenSource(
            Math.Min(_options.ElectionTimeoutMs, LongestStopMs));
        try
        {
            await HandOverAsync(tenure, BestTarget(tenure.Term), Otherwise.Resign, limit.Token)
                .ConfigureAwait(false);
        }
        catch (PgraftException e)
        {
            LogStops(_logger, tenure.Term, e.Message);
        }
    }

    private async Task ConfirmLeadershipAsync(CancellationToken token)
    {
        try
        {
            await LeaderReadIndexAsync(token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            throw new PgraftException(
                StatusCode.NotDone,
                "no majority of the members confirmed in time that this node still leads");
        }
    }

    private RemoteMember FindTarget(int targetId)
    {
        var target = Membership.Remotes.FirstOrDefault(r => r.Address.NodeId == targetId)
            ?? throw new PgraftException(
                StatusCode.BadArgument, $"node {targetId} is not a member of the cluster");
        return target.Peer.Contact.HeardWithin(Recently)
            ? target
            : throw new PgraftException(
                StatusCode.WrongState, $"node {targetId} does not answer",
                target.Peer.LastError,
                "Choose another member, or check that the node is running and reachable.");
    }

    // Whoever has most of the log, and of several the one that answered last.
    private RemoteMember BestTarget(long term)
    {
        var remotes = Membership.Remotes;
        return remotes.Where(r => r.Peer.Contact.HeardWithin(Recently) && !r.Peer.Contact.Failing)
            .MaxBy(r => (r.Peer.Contact.MatchIndex(term), r.Peer.Contact.LastAnswer))
            ?? throw new PgraftException(
                StatusCode.WrongState,
                remotes.Length == 0 ? "there is no other member" : "no other member answers", null,
                "Leadership can only go to a member that is running and reachable.");
    }

    // Who leads the next term, or one after it; 0 when that did not become known in time.
    private async Task<int> HandOverAsync(
        Tenure tenure, RemoteMember target, Otherwise otherwise, CancellationToken token)
    {
        if (Interlocked.Exchange(ref _handingOver, 1) != 0)
        {
            throw HandoverInProgress();
        }

        LogHandingOver(_logger, target.Address.NodeId, tenure.Term);
        try
        {
            if (otherwise == Otherwise.LeadOn)
            {
                // A change that begins later sees _handingOver.
                RequireNoChange();
            }

            await CatchUpAsync(tenure, target, token).ConfigureAwait(false);

            // From here on it is not the caller's to cancel.
            _completing = CompleteAsync(tenure, target, otherwise);
        }
        catch (Exception e)
        {
            LogNotHandedOver(_logger, target.Address.NodeId, e.Message);
            Volatile.Write(ref _handingOver, 0);
            throw;
        }

        try
        {
            return await _completing.WaitAsync(token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            throw Unknown(
                $"Node {target.Address.NodeId} was asked to take over leadership, and may still.");
        }
    }

    private async Task CatchUpAsync(Tenure tenure, RemoteMember target, CancellationToken token)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(token, tenure.Ended);
        bool done = false;
        try
        {
            await NearlyCatchUpAsync(tenure.Term, target, either.Token).ConfigureAwait(false);
            Log.CloseTerm(tenure.Term, closed: true);
            await CatchUpWhollyAsync(tenure.Term, target, either.Token).ConfigureAwait(false);
            done = !either.IsCancellationRequested;
        }
        catch (OperationCanceledException)
        {
            // Not in time.
        }

        if (!done)
        {
            Log.CloseTerm(tenure.Term, closed: false);
            WakeProposals();
            throw tenure.Ended.IsCancellationRequested ? NotLeaderHere() : NotCaughtUp(target);
        }
    }

    // As long as a round of catching up takes longer than writes should wait for the last one.
    // Source: Ongaro 2014 §4.2.1.
    private async Task NearlyCatchUpAsync(long term, RemoteMember target, CancellationToken token)
    {
        var contact = target.Peer.Contact;
        long start;
        do
        {
            start = Stopwatch.GetTimestamp();
            long last = Disk.Log.LastIndex;
            for (var next = contact.NextMatch(); contact.MatchIndex(term) < last;
                next = contact.NextMatch())
            {
                await next.WaitAsync(token).ConfigureAwait(false);
            }
        }
        while (Stopwatch.GetElapsedTime(start) > Patience / 5);
    }

    // Everything, and a sign of life that is newer than the call: one that has just died may have
    // everything too.
    private async Task CatchUpWhollyAsync(long term, RemoteMember target, CancellationToken token)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(token);
        limit.CancelAfter(Patience);
        long closedAt = _options.Clock.GetTimestamp();
        var contact = target.Peer.Contact;
        for (var next = contact.NextMatch();
            contact.MatchIndex(term) < Disk.Log.LastIndex
                || contact.AcknowledgedAt(term) < closedAt;
            next = contact.NextMatch())
        {
            Engine.Replicate();
            await next.WaitAsync(limit.Token).ConfigureAwait(false);
        }
    }

    // Never throws. Not cancellable: the permission that leaves here cannot be taken back.
    private async Task<int> CompleteAsync(Tenure tenure, RemoteMember target, Otherwise otherwise)
    {
        long start = Stopwatch.GetTimestamp();
        int leader = 0;
        try
        {
            leader = await HaveTakenAsync(tenure, target).ConfigureAwait(false);
            if (leader == 0)
            {
                await NobodyTookItAsync(tenure, otherwise).ConfigureAwait(false);
                using var limit = Limit(Patience * 4);
                leader = await NextLeaderAsync(tenure.Term, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception) when (_stopping.IsCancellationRequested)
        {
            // There is nobody left to hand over.
        }
        catch (Exception e)
        {
            Fail(e);
        }

        LogOutcome(tenure.Term, target.Address.NodeId, leader, start);
        Volatile.Write(ref _handingOver, 0);
        return leader;
    }

    // The new leader; 0 when there is none in time.
    private async Task<int> HaveTakenAsync(Tenure tenure, RemoteMember target)
    {
        using var limit = Limit(Patience);
        bool mayStand = await LetStandAsync(tenure.Term, target, limit.Token)
            .ConfigureAwait(false);
        return mayStand
            ? await NextLeaderAsync(tenure.Term, limit.Token).ConfigureAwait(false)
            : 0;
    }

    // The only place that lets another node stand. False when it certainly will not.
    private async Task<bool> LetStandAsync(
        long term, RemoteMember target, CancellationToken deadline)
    {
        CedeLease(term);
        Invariants.LeaseBeforeConsent(term, _lease.CededTerm, _lease.Of(term));
        try
        {
            var request = new FrameWriter().Int64(term).Int64(Disk.Log.LastIndex);
            var answer = new BodyReader(
                await target.Peer.Consensus
                    .CallAsync(MessageType.TimeoutNow, request, deadline, _stopping.Token)
                    .ConfigureAwait(false));
            answer.Int64();
            return answer.Byte() != 0;
        }
        catch (PeerUnavailableException e)
        {
            return e.RequestLeft;
        }
    }

    // Published before it returns: shared memory says that this node does not hold the lease.
    private void CedeLease(long term)
    {
        _lease.Cede(term);
        RaiseStatusChanged();
    }

    // The permission may still be used by the target. It is this node's as well, and the voters
    // decide. When this node does not lead any more, an election is under way already.
    private async Task NobodyTookItAsync(Tenure tenure, Otherwise otherwise)
    {
        if (View.Tenure != tenure)
        {
            return;
        }

        if (otherwise == Otherwise.LeadOn)
        {
            Volatile.Write(ref _consentTerm, tenure.Term);
            await _requests!.StandAsync(tenure.Term, Patience, _stopping.Token)
                .ConfigureAwait(false);
        }
        else
        {
            HoldBack();
            await Engine.StepDownAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    // It leads in earnest, and takes writes, once an entry of its term is committed.
    private async Task<int> NextLeaderAsync(long term, CancellationToken token)
    {
        while (!token.IsCancellationRequested)
        {
            long seen = View.Version;
            if (View.LeaderAfter(term) is not 0 and int leader
                && Log.TermAt(Log.CommitIndex) > term)
            {
                return leader;
            }

            await View.WaitChangeAsync(seen, token)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return 0;
    }

    private CancellationTokenSource Limit(TimeSpan time)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        limit.CancelAfter(time);
        return limit;
    }

    private void RequireNoChange()
    {
        if (Volatile.Read(ref _change) is { } change)
        {
            throw AnotherChange($"This leader is {change}.", null);
        }

        RequireLastCommitted();
    }

    private void RequireNoHandover()
    {
        if (Volatile.Read(ref _handingOver) != 0)
        {
            throw HandoverInProgress();
        }
    }

    private static PgraftException HandoverInProgress() => new(
        StatusCode.WrongState, "a leadership transfer is in progress", null,
        "Wait until it has finished.");

    private PgraftException NotCaughtUp(RemoteMember target)
    {
        int id = target.Address.NodeId;
        var contact = target.Peer.Contact;
        long lag = Disk.Log.LastIndex - contact.MatchIndex(Log.Term);
        return new PgraftException(
            StatusCode.NotDone,
            $"leadership was not transferred: node {id} did not catch up in time",
            contact.HeardWithin(Recently)
                ? $"It lacks {lag} log entries, or its disk is slow."
                : $"It does not answer. {target.Peer.LastError}".TrimEnd(),
            "This node still leads. Run it again when the other has caught up (see "
            + "pgraft.replication).");
    }

    private PgraftException NotTaken(int targetId, int leader) => leader == 0
        ? Unknown(
            $"Node {targetId} was asked to take over leadership, and nobody is known to lead yet.")
        : new PgraftException(
            StatusCode.NotDone,
            $"leadership was not transferred: node {targetId} did not take it in time",
            $"Node {leader} leads now.",
            leader == SelfId ? "Run it again." : $"Run it again on node {leader}.");

    private static PgraftException Unknown(string why) => new(
        StatusCode.OutcomeUnknown, "the outcome of the leadership transfer is unknown", why,
        "See pgraft_get_leader().");

    private void LogOutcome(long term, int targetId, int leader, long start)
    {
        double elapsedMs = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (leader == targetId)
        {
            LogHandedOver(_logger, targetId, term, elapsedMs);
        }
        else
        {
            LogNotHandedOver(
                _logger, targetId,
                leader == 0 ? "nobody is known to lead yet" : $"node {leader} leads now");
        }
    }

    [LoggerMessage(131, LogLevel.Information,
        "handing leadership of term {Term} to node {NodeId}")]
    private static partial void LogHandingOver(ILogger logger, int nodeId, long term);

    [LoggerMessage(132, LogLevel.Information,
        "node {NodeId} has taken over leadership of term {Term} within {ElapsedMs:F0} ms")]
    private static partial void LogHandedOver(
        ILogger logger, int nodeId, long term, double elapsedMs);

    [LoggerMessage(133, LogLevel.Information,
        "leadership was not handed to node {NodeId}: {Reason}")]
    private static partial void LogNotHandedOver(ILogger logger, int nodeId, string reason);

    [LoggerMessage(135, LogLevel.Information,
        "the leader of term {Term} stops without having handed over: {Reason}")]
    private static partial void LogStops(ILogger logger, long term, string reason);
}
