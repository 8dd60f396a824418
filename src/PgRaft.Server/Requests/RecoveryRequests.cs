// The requests about what outlives a node: snapshots, backups, restoring one, and going on alone
// after the majority is lost. Who may read and write the server's files is the shim's question.
// Threading: any number of requests at once; the node does one piece of file work at a time.
// Failure: PgraftException; one whose time ran out says whether anything has changed.
using System.Globalization;
using System.Text;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal sealed class RecoveryRequests(
    IRaftNode node, LeaderRouter router, ClusterErrors errors, string clusterId)
{
    public async ValueTask SnapshotAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        errors.RequireCluster();
        try
        {
            long index = await node.SnapshotAsync(context.Token).ConfigureAwait(false);
            response.Rows(1).Int64(index);
        }
        catch (OperationCanceledException e) when (context.Token.IsCancellationRequested)
        {
            throw TooSlow(
                context, "the snapshot was not finished", "It goes on being written.", e);
        }
    }

    // The barrier makes it hold everything acknowledged before the call, on any member.
    public async ValueTask BackupAsync(RequestContext context, ResponseBuilder response)
    {
        string path = DecodeText(context);
        await router.ReadBarrierAsync(context).ConfigureAwait(false);
        try
        {
            var info = await node.BackupAsync(path, context.Token).ConfigureAwait(false);
            response.Rows(1).Int64(info.Index);
        }
        catch (OperationCanceledException e) when (context.Token.IsCancellationRequested)
        {
            throw TooSlow(context, "the backup was not finished", "Nothing was written.", e);
        }
    }

    public async ValueTask BackupInfoAsync(RequestContext context, ResponseBuilder response)
    {
        var info = await node.ReadBackupAsync(DecodeText(context), context.Token)
            .ConfigureAwait(false);
        response.Rows(9)
            .Text(info.ClusterId)
            .Int64(info.Index)
            .Int64(info.Term)
            .Int64(info.Revision)
            .Text(info.StateHash)
            .Int64(info.TakenAt.ToUnixTimeMilliseconds())
            .Int32(info.NodeId)
            .Text(info.Version)
            .Int64(info.TotalBytes);
    }

    public async ValueTask RestoreAsync(RequestContext context, ResponseBuilder response)
    {
        await node.RestoreAsync(DecodeText(context), context.Token).ConfigureAwait(false);
        response.Rows(1).Bool(true);
    }

    public async ValueTask RecoverAsync(RequestContext context, ResponseBuilder response)
    {
        string confirm = DecodeText(context);
        errors.RequireCluster();
        if (confirm != clusterId)
        {
            throw new PgraftException(
                StatusCode.BadArgument,
                "confirm must equal pgraft.cluster_id",
                $"This node belongs to cluster \"{clusterId}\".",
                "Members that cannot be reached now must never come back: read "
                    + "docs/backup-and-recovery.md first.");
        }

        var result = await node.RecoverAloneAsync(context.Token).ConfigureAwait(false);
        response.Rows(3).Bool(true).Int64(result.CommitIndex).Int64(result.LastIndex);
    }

    private static string DecodeText(RequestContext context)
    {
        var arguments = context.Arguments(1);
        string text = Encoding.UTF8.GetString(arguments.ReadText());
        arguments.End();
        return text;
    }

    private static PgraftException TooSlow(
        RequestContext context, string message, string detail, Exception cause) => new(
        StatusCode.TimedOut,
        string.Create(
            CultureInfo.InvariantCulture, $"{message} within {context.Header.TimeoutMs} ms"),
        detail,
        "Raise pgraft.request_timeout for the session.",
        cause);
}
