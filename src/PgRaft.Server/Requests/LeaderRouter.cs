// Brings a request that has no id to the leader, wherever that is, within the request's time: runs
// it here when this node leads, passes it on otherwise, and tries again when a failure is certain
// to have changed nothing and leadership has moved or been confirmed since. Never after an unknown
// outcome: that is for requests with an id (ProposalRouter).
// Threading: any number of requests; no state of its own. Failure: PgraftException as the
// contract's error table has it.
using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal sealed class LeaderRouter(IRaftNode node, LeadershipWatch watch, ClusterErrors errors)
{
    /// <summary>Runs a request on the leader: <paramref name="local"/> when that is this node.
    /// </summary>
    public async ValueTask ExecuteAsync(
        RequestContext context, ResponseBuilder response, Func<ValueTask> local)
    {
        if (!context.IsForwarded)
            errors.RequireCluster();
        while (true)
        {
            var seen = watch.Status;
            var failure = await TryAsync(context, response, seen, local).ConfigureAwait(false);
            if (failure is null)
                return;
            if (context.IsForwarded || context.Token.IsCancellationRequested)
                throw failure;
            await WaitAsync(context, seen, failure).ConfigureAwait(false);
        }
    }

    /// <summary>Returns once this node has applied all that was committed before the call.
    /// </summary>
    public async ValueTask ReadBarrierAsync(RequestContext context)
    {
        errors.RequireCluster();
        while (true)
        {
            var seen = watch.Status;
            var failure = await TryBarrierAsync(context, seen).ConfigureAwait(false);
            if (failure is null)
                return;
            if (!context.Token.IsCancellationRequested && !IsTransient(failure.Code))
                throw failure;
            await WaitForReadAsync(context, seen).ConfigureAwait(false);
        }
    }

    // A failure that certainly changed nothing is returned; any other is thrown.
    private async ValueTask<PgraftException?> TryAsync(
        RequestContext context, ResponseBuilder response, NodeStatus seen, Func<ValueTask> local)
    {
        try
        {
            if (ClusterErrors.RemovedFrom(seen) is { } removed)
                throw removed;
            if (seen.Role == NodeRole.Leader)
                await local().ConfigureAwait(false);
            else if (context.IsForwarded)
                return errors.NotLeader("accept a forwarded request");
            else if (seen.LeaderId == 0)
                return errors.NoLeader();
            else
                return await ForwardAsync(context, response).ConfigureAwait(false);
            return null;
        }
        catch (PgraftException e) when (IsCertain(e.Code))
        {
            return e;
        }
    }

    private async ValueTask<PgraftException?> ForwardAsync(
        RequestContext context, ResponseBuilder response)
    {
        var bytes = await node
            .ForwardToLeaderAsync(context.ToForwardFrame(default), context.Token)
            .ConfigureAwait(false);
        var answer = ForwardedResponse.Read(bytes);
        if (IsCertain(answer.Status))
            return answer.ToException();
        response.Relay(answer);
        return null;
    }

    private async ValueTask<PgraftException?> TryBarrierAsync(
        RequestContext context, NodeStatus seen)
    {
        if (ClusterErrors.RemovedFrom(seen) is { } removed)
            throw removed;
        if (seen.LeaderId == 0 && seen.Role != NodeRole.Leader)
            return errors.NoLeader();
        try
        {
            await node.ReadBarrierAsync(context.Token).ConfigureAwait(false);
            return null;
        }
        catch (PgraftException e)
        {
            return e;
        }
        catch (OperationCanceledException e)
        {
            return new PgraftException(StatusCode.TimedOut, e.Message, inner: e);
        }
    }

    private async ValueTask WaitAsync(
        RequestContext context, NodeStatus seen, PgraftException failure)
    {
        try
        {
            await watch.WaitForChangeAsync(seen, context.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Nothing was proposed, or it certainly failed: the reason says more than the clock.
            throw failure.Code == StatusCode.NoLeader ? errors.NoLeader() : failure;
        }
    }

    private async ValueTask WaitForReadAsync(RequestContext context, NodeStatus seen)
    {
        try
        {
            await watch.WaitForChangeAsync(seen, context.Token).ConfigureAwait(false);
            context.Token.ThrowIfCancellationRequested();
        }
        catch (OperationCanceledException)
        {
            throw errors.ReadTimedOut(context.Header.TimeoutMs);
        }
    }

    private static bool IsCertain(StatusCode code) =>
        code is StatusCode.NotLeader or StatusCode.NoLeader or StatusCode.NotDone;

    // A read changes nothing, so even an unknown outcome may be tried again.
    private static bool IsTransient(StatusCode code) =>
        IsCertain(code) || code is StatusCode.OutcomeUnknown or StatusCode.TimedOut;
}
