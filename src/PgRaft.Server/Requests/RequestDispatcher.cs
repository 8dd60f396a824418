// Runs one request: bounds how many run at once, gives each its time, and turns whatever happens
// into an answer. Nothing that a request does gets past here.
// Threading: any number of requests at once. Failure: every exception becomes an error answer; an
// unexpected one is logged, and leaves a write's outcome unknown.
using System.Diagnostics;
using System.Globalization;

using Microsoft.Extensions.Logging;

using PgRaft.Core;
using PgRaft.Server.Logging;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal sealed class RequestDispatcher(
    ClusterRequests cluster,
    LogRequests log,
    KvRequests kv,
    RecoveryRequests recovery,
    HealthRequests health,
    RequestCounters counters,
    RequestMeters meters,
    MemoryBudget budget,
    ILogger logger,
    CancellationToken stopping)
{
    public MemoryBudget Budget => budget;

    /// <summary>Answers a request of a client. The answer is in <paramref name="response"/>.
    /// </summary>
    /// <param name="body">A frame's body, at least as long as a header.</param>
    /// <param name="response">Receives the answer.</param>
    /// <param name="interim">Sends a frame ahead of the answer.</param>
    /// <param name="gone">Cancelled when nobody waits for the answer any more.</param>
    public Task<ReadOnlyMemory<byte>> ExecuteAsync(
        ReadOnlyMemory<byte> body,
        ResponseBuilder response,
        InterimWriter interim,
        CancellationToken gone) =>
        ExecuteAsync(body, response, null, interim, gone);

    /// <summary>Answers a request that another member passed on.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> ExecuteForwardedAsync(
        ReadOnlyMemory<byte> bytes, CancellationToken gone)
    {
        var request = ForwardedRequest.Read(bytes);

        // Not disposed: the answer lives in the buffer. Forwardable requests have short ones, for
        // which nothing is reserved.
        var response = new ResponseBuilder(budget);
        return await ExecuteAsync(request.Body, response, request, null, gone)
            .ConfigureAwait(false);
    }

    private async Task<ReadOnlyMemory<byte>> ExecuteAsync(
        ReadOnlyMemory<byte> body,
        ResponseBuilder response,
        ForwardedRequest? forwarded,
        InterimWriter? interim,
        CancellationToken gone)
    {
        var header = RequestHeader.Read(body.Span);
        response.Begin(header.RequestId);
        if (!counters.TryEnter())
        {
            meters.Refused(header.Code, isForwarded: forwarded is not null);
            response.Error(TooMany());
            return response.Finish();
        }

        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(gone, stopping);
            limit.CancelAfter(header.TimeoutMs);
            var context = new RequestContext(
                header, body[Wire.HeaderBytes..], forwarded, limit, interim);
            return await AnswerAsync(context, response).ConfigureAwait(false);
        }
        finally
        {
            counters.Leave();
        }
    }

    private async ValueTask<ReadOnlyMemory<byte>> AnswerAsync(
        RequestContext context, ResponseBuilder response)
    {
        long began = Stopwatch.GetTimestamp();
        var outcome = RequestOutcome.Ok;
        try
        {
            if (stopping.IsCancellationRequested)
                throw Stopping();
            CheckHeader(context);
            await RouteAsync(context, response).ConfigureAwait(false);
            return response.Finish();
        }
        catch (Exception e)
        {
            var error = ErrorFor(context, e);
            outcome = error.Code == StatusCode.OutcomeUnknown
                ? RequestOutcome.Unknown
                : RequestOutcome.Error;
            response.Error(error);
            return response.Finish();
        }
        finally
        {
            meters.Answered(context, outcome, began);
        }
    }

    private static void CheckHeader(RequestContext context)
    {
        if (context.Header.Flags != 0)
            throw Malformed("flags must be 0");
        if (context.IsForwarded && !RequestCodes.IsForwardable(context.Header.Code))
            throw Malformed(Code(context, "is not one to forward"));
    }

    private ValueTask RouteAsync(RequestContext context, ResponseBuilder response) =>
        context.Header.Code switch
        {
            RequestCode.Init => cluster.InitAsync(context, response),
            RequestCode.AddNode => cluster.AddNodeAsync(context, response),
            RequestCode.RemoveNode => cluster.RemoveNodeAsync(context, response),
            RequestCode.GetNodes => cluster.GetNodesAsync(context, response),
            RequestCode.Test => cluster.TestAsync(context, response),
            RequestCode.SetDebug => cluster.SetDebugAsync(context, response),
            RequestCode.TransferLeadership => cluster.TransferAsync(context, response),
            RequestCode.UpdateNode => cluster.UpdateNodeAsync(context, response),
            RequestCode.LogAppend => log.AppendAsync(context, response),
            RequestCode.LogWaitCommit => log.WaitCommitAsync(context, response),
            RequestCode.LogWaitApply => log.WaitApplyAsync(context, response),
            RequestCode.LogGetEntry => log.GetEntryAsync(context, response),
            RequestCode.LogGetStats => log.GetStatsAsync(context, response),
            RequestCode.LogGetReplication => log.GetReplicationAsync(context, response),
            RequestCode.LogSync => log.SyncAsync(context, response),
            RequestCode.EndpointStatus => log.EndpointStatusAsync(context, response),
            RequestCode.History => cluster.GetHistoryAsync(context, response),
            RequestCode.KvPut => kv.PutAsync(context, response),
            RequestCode.KvGet => kv.GetAsync(context, response),
            RequestCode.KvDelete => kv.DeleteAsync(context, response),
            RequestCode.KvExists => kv.ExistsAsync(context, response),
            RequestCode.KvListKeys => kv.ListKeysAsync(context, response),
            RequestCode.KvGetStats => kv.GetStatsAsync(context, response),
            RequestCode.KvCas => kv.CompareAndSetAsync(context, response),
            RequestCode.Snapshot => recovery.SnapshotAsync(context, response),
            RequestCode.Backup => recovery.BackupAsync(context, response),
            RequestCode.RecoverCluster => recovery.RecoverAsync(context, response),
            RequestCode.Restore => recovery.RestoreAsync(context, response),
            RequestCode.BackupInfo => recovery.BackupInfoAsync(context, response),
            RequestCode.Health => health.GetHealthAsync(context, response),
            RequestCode.Findings => health.GetFindingsAsync(context, response),
            _ => throw Malformed(Code(context, "is unknown")),
        };

    private PgraftException ErrorFor(RequestContext context, Exception exception)
    {
        bool ended = context.Token.IsCancellationRequested;
        return exception switch
        {
            PgraftException e when ended && !context.IsWrite => EndOfRead(context, e),
            PgraftException e => e,
            OperationCanceledException when ended => context.IsWrite
                ? Unknown(context, "The request was cancelled.")
                : EndOfRead(context, TimedOut(context)),
            _ => Unexpected(context, exception),
        };
    }

    // A read whose wait was cut short has changed nothing, whatever the layer below calls it.
    private PgraftException EndOfRead(RequestContext context, PgraftException error)
    {
        bool isWait = error.Code is StatusCode.NotDone or StatusCode.OutcomeUnknown
            or StatusCode.TimedOut or StatusCode.NoLeader;
        if (isWait && stopping.IsCancellationRequested)
            return Stopping();
        return error.Code is StatusCode.NotDone or StatusCode.OutcomeUnknown
            ? TimedOut(context)
            : error;
    }

    private PgraftException Unexpected(RequestContext context, Exception exception)
    {
        logger.RequestFailed(exception, (int)context.Header.Code);
        string what = $"{exception.GetType().Name}: {exception.Message}";
        return context.IsWrite
            ? Unknown(context, $"Internal error: {what}")
            : new PgraftException(StatusCode.Internal, "internal error", what);
    }

    private static PgraftException TimedOut(RequestContext context) => new(
        StatusCode.TimedOut,
        string.Create(
            CultureInfo.InvariantCulture,
            $"the request did not end within {context.Header.TimeoutMs} ms"),
        "Nothing was changed.");

    private static PgraftException Unknown(RequestContext context, string detail) => new(
        StatusCode.OutcomeUnknown,
        string.Create(
            CultureInfo.InvariantCulture,
            $"request {(int)context.Header.Code} may or may not have taken effect"),
        detail,
        "Read the state to find out.");

    private static PgraftException Stopping() => new(
        StatusCode.Stopping, "the node is stopping", "Nothing was changed.");

    private static PgraftException TooMany() => new(
        StatusCode.Busy,
        "too many requests are running",
        "Nothing was changed.",
        "Try again when other requests have ended.");

    private static PgraftException Malformed(string detail) => new(
        StatusCode.BadArgument, "malformed request", detail);

    private static string Code(RequestContext context, string complaint) => string.Create(
        CultureInfo.InvariantCulture, $"request code {(int)context.Header.Code} {complaint}");
}
