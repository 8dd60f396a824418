// Brings a write to the leader and finds out what came of it, over as many leaders as the request's
// time allows: the request keeps its id, so that repeating it is safe even when an earlier attempt
// may have been done (state machine: RequestTable).
//
// Why it is hard: an attempt that left may take effect at any later time. From then on a refusal of
// another attempt ("not the leader", "no leader", "out of time") says nothing about the request;
// only an applied copy does, or a term that has passed for a request bound to it. So the outcome,
// once unknown, stays unknown until the state machine has spoken.
//
// Threading: any number of requests; no state of its own. Failure: PgraftException as the
// contract's error table has it.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Requests;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

/// <summary>Checks a request's arguments and makes its command.</summary>
internal delegate byte[] CommandFor(RequestContext context, RequestId id);

internal sealed class ProposalRouter(
    IRaftNode node, LeadershipWatch watch, ClusterErrors errors, RequestSession session)
{
    /// <summary>Proposes the command of a request and writes the answer.</summary>
    /// <param name="context">The request.</param>
    /// <param name="response">Receives the answer.</param>
    /// <param name="encode">Makes the command.</param>
    /// <param name="expectedTerm">The only term in which it may take effect; 0 = any.</param>
    /// <param name="answer">Writes what was applied.</param>
    public ValueTask ProposeAsync(
        RequestContext context,
        ResponseBuilder response,
        CommandFor encode,
        long expectedTerm,
        Action<ResponseBuilder, Proposal> answer)
    {
        var write = new Write(context, response, encode, expectedTerm, answer);
        return context.IsForwarded ? AnswerMemberAsync(write) : AnswerClientAsync(write);
    }

    // One attempt; the member that passed the request on repeats it.
    private async ValueTask AnswerMemberAsync(Write write)
    {
        byte[] command = write.Encode(write.Context, write.Context.Id);
        if (node.Status.Role != NodeRole.Leader)
            throw errors.NotLeader("accept a forwarded request");
        var proposal = await ProposeForMemberAsync(write, command).ConfigureAwait(false);
        if (write.RefusalOf(proposal.Result.Status) is { } refusal)
            throw refusal;
        write.Answer(write.Response, proposal);
    }

    // To a member NotDone is the last word on a request; to us here it is one on an attempt, unless
    // the request is of a term that has not come yet.
    private async ValueTask<Proposal> ProposeForMemberAsync(Write write, byte[] command)
    {
        try
        {
            return await node
                .ProposeAsync(command, write.ExpectedTerm, write.Context.Token)
                .ConfigureAwait(false);
        }
        catch (PgraftException e) when (e.Code == StatusCode.NotDone
            && node.Status.Term >= write.ExpectedTerm)
        {
            throw new PgraftException(StatusCode.NotLeader, e.Message, e.Detail, e.Hint, e);
        }
    }

    private async ValueTask AnswerClientAsync(Write write)
    {
        errors.RequireCluster();
        while (true)
        {
            var id = session.Rent();
            try
            {
                if (await RunAsync(write, id).ConfigureAwait(false))
                    return;
            }
            finally
            {
                session.Return(id);
            }

            // Our session was forgotten, and this node did not know how far the cluster is: with a
            // base index from after that the request is new.
            await node.ReadBarrierAsync(write.Context.Token).ConfigureAwait(false);
        }
    }

    // False when the id is forgotten although the request has certainly not been done.
    private async ValueTask<bool> RunAsync(Write write, RequestId id)
    {
        byte[] command = write.Encode(write.Context, id);
        PgraftException? unknown = null;
        while (true)
        {
            // A member that reads less may have joined since.
            if (Command.VersionOf(command) > node.DataVersion)
                command = write.Encode(write.Context, id);
            var seen = watch.Status;
            var attempt = await AttemptAsync(write, id, command, seen).ConfigureAwait(false);
            if (attempt.Failure is not { } failure)
                return true;
            if (attempt.IsLastWord)
                throw failure;
            if (failure.Code == StatusCode.NotFound && unknown is null)
                return false;
            if (failure.Code == StatusCode.OutcomeUnknown)
                unknown = failure;
            if (!write.MayRepeat(failure.Code, isUnknown: unknown is not null))
                throw unknown ?? failure;
            await WaitAsync(write.Context, seen, unknown ?? failure).ConfigureAwait(false);
        }
    }

    private async ValueTask<Attempt> AttemptAsync(
        Write write, RequestId id, byte[] command, NodeStatus seen)
    {
        try
        {
            if (ClusterErrors.RemovedFrom(seen) is { } removed)
                return new Attempt(removed);
            if (seen.Role == NodeRole.Leader)
                return await ProposeAsync(write, command).ConfigureAwait(false);
            if (seen.LeaderId == 0)
                return new Attempt(errors.NoLeader());
            return await ForwardAsync(write, id, seen).ConfigureAwait(false);
        }
        catch (PgraftException e)
        {
            return new Attempt(e);
        }
    }

    private async ValueTask<Attempt> ProposeAsync(Write write, byte[] command)
    {
        var proposal = await node
            .ProposeAsync(command, write.ExpectedTerm, write.Context.Token).ConfigureAwait(false);
        if (write.RefusalOf(proposal.Result.Status) is { } refusal)
            return new Attempt(refusal, IsLastWord: refusal.Code != StatusCode.NotFound);
        write.Answer(write.Response, proposal);
        return default;
    }

    // A leader that is cut off may never answer: the wait ends when another is known.
    private async ValueTask<Attempt> ForwardAsync(Write write, RequestId id, NodeStatus seen)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(
            write.Context.Token, watch.Superseded);
        var bytes = await node
            .ForwardToLeaderAsync(write.Context.ToForwardFrame(id), limit.Token)
            .ConfigureAwait(false);
        var answer = ForwardedResponse.Read(bytes);
        if (answer.Status == StatusCode.Ok)
        {
            write.Response.Relay(answer);
            return default;
        }

        // The member was known to lead a term not before the expected one. As it refuses the
        // request for its term it leads a later one, in which no copy can be committed any more.
        bool isTermOver = answer.Status == StatusCode.NotDone && write.IsFenced
            && seen.Term >= write.ExpectedTerm;
        return new Attempt(answer.ToException(), isTermOver);
    }

    private async ValueTask WaitAsync(
        RequestContext context, NodeStatus seen, PgraftException failure)
    {
        try
        {
            context.Token.ThrowIfCancellationRequested();
            await watch.WaitForChangeAsync(seen, context.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The reason says more than the clock.
            throw failure.Code == StatusCode.NoLeader ? errors.NoLeader() : failure;
        }
    }

    /// <summary>What came of one attempt; no failure means that the answer is written.</summary>
    private readonly record struct Attempt(PgraftException? Failure, bool IsLastWord = false);

    private readonly record struct Write(
        RequestContext Context,
        ResponseBuilder Response,
        CommandFor Encode,
        long ExpectedTerm,
        Action<ResponseBuilder, Proposal> Answer)
    {
        public bool IsFenced => ExpectedTerm != 0;

        // What is certainly not done may be tried again; what is unknown must be, for nothing else
        // can tell. A term that is over at the first attempt is over for good.
        public bool MayRepeat(StatusCode code, bool isUnknown) => code switch
        {
            StatusCode.NotLeader or StatusCode.NoLeader or StatusCode.OutcomeUnknown => true,
            StatusCode.NotDone => isUnknown || !IsFenced,
            StatusCode.Stopping or StatusCode.Busy => isUnknown,
            _ => false,
        };

        // The state machine refuses the same request on every member alike.
        public PgraftException? RefusalOf(StatusCode status) => status switch
        {
            StatusCode.Ok => null,
            StatusCode.NotDone => new PgraftException(
                StatusCode.NotDone,
                string.Create(
                    CultureInfo.InvariantCulture, $"term {ExpectedTerm} is not the current term"),
                "Another leader has been elected since. The write was not done and will not be."),
            StatusCode.NotFound => new PgraftException(
                StatusCode.NotFound, "the cluster has forgotten this session of the node"),
            _ => new PgraftException(status, "the state machine refused the command"),
        };
    }
}
