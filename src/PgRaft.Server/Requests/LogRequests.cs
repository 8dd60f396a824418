// The requests about the log: append, waits, entries, statistics, and what tells whether two
// members hold the same state. Threading: any number of requests at once. Failure: PgraftException.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Rendering;
using PgRaft.Core.Requests;
using PgRaft.Core.Snapshots;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal sealed class LogRequests(
    IRaftNode node,
    StateMachine state,
    ProposalRouter proposals,
    LeaderRouter router,
    ClusterErrors errors,
    ServerSettings settings,
    HeavyWork heavy,
    NodeIdentity identity)
{
    public ValueTask AppendAsync(RequestContext context, ResponseBuilder response)
    {
        var arguments = context.Arguments(2);
        long? term = arguments.ReadNullableInt64();
        var data = arguments.ReadText();
        arguments.End();
        if (term is <= 0)
            throw new PgraftException(StatusCode.BadArgument, "term must be at least 1");
        RequestLimits.CheckValue("data", data.Length, settings.MaxValueBytes);
        return proposals.ProposeAsync(
            context,
            response,
            EncodeAppend,
            term ?? 0,
            static (r, proposal) => r.Rows(1).Int64(proposal.Result.Index));
    }

    public async ValueTask WaitCommitAsync(RequestContext context, ResponseBuilder response)
    {
        long index = DecodeIndex(context);
        errors.RequireCluster();
        await WaitAsync(node.WaitCommittedAsync, "commit", index, context).ConfigureAwait(false);
        response.Rows(1).Bool(true);
    }

    public async ValueTask WaitApplyAsync(RequestContext context, ResponseBuilder response)
    {
        long index = DecodeIndex(context);
        errors.RequireCluster();
        await WaitAsync(node.WaitAppliedAsync, "application", index, context).ConfigureAwait(false);
        response.Rows(1).Bool(true);
    }

    public async ValueTask GetEntryAsync(RequestContext context, ResponseBuilder response)
    {
        long index = DecodeIndex(context);
        LogEntryView entry;
        try
        {
            entry = await node.ReadEntryAsync(index, context.Token).ConfigureAwait(false);
        }
        catch (PgraftException e) when (e.Code == StatusCode.NotFound)
        {
            throw NoSuchEntry(index, node.Status);
        }

        var kind = entry.IsConfiguration ? LogEntryKind.Configuration : LogEntryKind.Command;
        response.Rows(1)
            .Text(LogEntryJson.Render(entry.Index, entry.Term, entry.Payload.Span, kind));
    }

    public ValueTask GetStatsAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        var status = node.Status;
        response.Rows(8)
            .Int64(Math.Max(0, status.LastIndex - status.FirstIndex + 1))
            .Int64(status.LastIndex)
            .Int64(status.CommitIndex)
            .Int64(status.AppliedIndex)
            .Int64(status.FirstIndex)
            .Int64(status.SnapshotIndex)
            .Int64(status.SnapshotTerm)
            .Int64(status.DiskBytes);
        return ValueTask.CompletedTask;
    }

    public ValueTask GetReplicationAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        response.Rows(7);
        foreach (var follower in node.GetReplication())
        {
            response
                .Int32(follower.NodeId)
                .Int64(follower.MatchIndex)
                .Int64(follower.NextIndex)
                .Bool(follower.IsActive)
                .Int64(follower.Lag)
                .Int64(follower.LastContactMs)
                .Text(follower.State);
        }

        return ValueTask.CompletedTask;
    }

    public async ValueTask SyncAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        await router.ReadBarrierAsync(context).ConfigureAwait(false);
        response.Rows(1).Bool(true);
    }

    public async ValueTask EndpointStatusAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        var token = context.Token;
        var (image, hash) = await heavy
            .RunAsync(() => HashOf(state.Capture(), token), token).ConfigureAwait(false);
        response.Rows(6)
            .Int32(identity.NodeId)
            .Text(identity.Version)
            .Int64(node.Status.Term)
            .Int64(image.AppliedIndex)
            .Int64(image.Kv.Revision)
            .Text(hash);
    }

    private static (StateImage Image, string Hash) HashOf(
        StateImage image, CancellationToken token) =>
        (image, StateHash.ComputeHex(image, token));

    // The arguments have been checked.
    private byte[] EncodeAppend(RequestContext context, RequestId id)
    {
        var arguments = context.Arguments(2);
        long? term = arguments.ReadNullableInt64();
        return CommandEncoder.Opaque(arguments.ReadText(), term ?? 0, id, node.DataVersion);
    }

    private static long DecodeIndex(RequestContext context)
    {
        var arguments = context.Arguments(1);
        long index = arguments.ReadInt64();
        arguments.End();
        return index >= 1
            ? index
            : throw new PgraftException(StatusCode.BadArgument, "log index must be at least 1");
    }

    private async ValueTask WaitAsync(
        Func<long, CancellationToken, ValueTask> wait,
        string what,
        long index,
        RequestContext context)
    {
        try
        {
            await wait(index, context.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (context.Token.IsCancellationRequested && e is
            OperationCanceledException or PgraftException { Code: not StatusCode.IoError })
        {
            throw NotReached(what, index, context.Header.TimeoutMs);
        }
    }

    private PgraftException NotReached(string what, long index, int timeoutMs)
    {
        var status = node.Status;
        return new PgraftException(
            StatusCode.TimedOut,
            string.Create(
                CultureInfo.InvariantCulture,
                $"the wait for the {what} of log index {index} ended after {timeoutMs} ms"),
            string.Create(
                CultureInfo.InvariantCulture,
                $"Commit index {status.CommitIndex}, applied index {status.AppliedIndex}."));
    }

    private static PgraftException NoSuchEntry(long index, NodeStatus status) => new(
        StatusCode.NotFound,
        string.Create(CultureInfo.InvariantCulture, $"the log holds no entry {index}"),
        status.LastIndex < status.FirstIndex
            ? "The log holds no entries."
            : string.Create(
                CultureInfo.InvariantCulture,
                $"First index {status.FirstIndex}, last index {status.LastIndex}."));
}
