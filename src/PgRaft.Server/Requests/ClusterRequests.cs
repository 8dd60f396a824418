// The requests about the cluster itself: founding, members, self-test, debug output.
// Threading: any number of requests at once; the node serialises configuration changes.
// Failure: PgraftException; a change whose entry was proposed but not confirmed is unknown.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Http;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal sealed class ClusterRequests(
    IRaftNode node,
    LeaderRouter router,
    ClusterErrors errors,
    ServerSettings settings,
    NodeIdentity identity)
{
    public async ValueTask InitAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        await node.FoundAsync(context.Token).ConfigureAwait(false);
        response.Rows(1).Bool(true);
    }

    public async ValueTask AddNodeAsync(RequestContext context, ResponseBuilder response)
    {
        var member = DecodeMember(context);
        errors.RequireCluster();
        errors.RequireLeader("add node");
        CheckAddressIsFree(member);
        var relay = new ProgressRelay(context, member.NodeId);
        try
        {
            await relay.WhileAsync(node.AddMemberAsync(member, relay, context.Token))
                .ConfigureAwait(false);
        }
        catch (PgraftException e) when (e.Code == StatusCode.NotLeader)
        {
            throw errors.NeedsLeader("add node");
        }

        AnswerChange(response);
    }

    public async ValueTask UpdateNodeAsync(RequestContext context, ResponseBuilder response)
    {
        var member = DecodeMember(context);
        errors.RequireCluster();
        errors.RequireLeader("update node");
        CheckIsMember(member.NodeId);
        CheckAddressIsFree(member);
        try
        {
            await node.UpdateMemberAsync(member, context.Token).ConfigureAwait(false);
        }
        catch (PgraftException e) when (e.Code == StatusCode.NotLeader)
        {
            throw errors.NeedsLeader("update node");
        }

        response.Rows(1).Bool(true);
    }

    public ValueTask RemoveNodeAsync(RequestContext context, ResponseBuilder response)
    {
        int nodeId = DecodeNodeId(context);
        if (!context.IsForwarded)
        {
            errors.RequireCluster();
            errors.RequireLeader("remove node");
            CheckIsRemovable(nodeId);
        }

        // Only the leader's own removal travels: to whoever leads after it has stepped down.
        return nodeId == identity.NodeId && !context.IsForwarded
            ? router.ExecuteAsync(context, response, () => StepAsideAsync(context))
            : RemoveAsync(nodeId, context, response);
    }

    public async ValueTask TransferAsync(RequestContext context, ResponseBuilder response)
    {
        int targetId = DecodeTarget(context);
        errors.RequireCluster();
        errors.RequireLeader("transfer leadership");
        try
        {
            await node.TransferLeadershipAsync(targetId, context.Token).ConfigureAwait(false);
        }
        catch (PgraftException e) when (e.Code == StatusCode.NotLeader)
        {
            throw errors.NotLeader("transfer leadership");
        }

        response.Rows(1).Bool(true);
    }

    public ValueTask GetNodesAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        response.Rows(5);
        foreach (var member in node.GetMembers())
        {
            response
                .Int32(member.Address.NodeId)
                .Text(member.Address.Host)
                .Int32(member.Address.Port)
                .Bool(member.IsLeader)
                .Bool(member.IsActive);
        }

        return ValueTask.CompletedTask;
    }

    // Times are milliseconds since 1970, which is what the view makes timestamps of.
    public ValueTask GetHistoryAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        response.Rows(5);
        foreach (var change in node.GetHistory())
        {
            response
                .Int64(change.At.ToUnixTimeMilliseconds())
                .Text(NodePicture.Lower(change.Role))
                .Int64(change.Term)
                .Int32(change.LeaderId)
                .Text(change.Cause);
        }

        return ValueTask.CompletedTask;
    }

    // That this runs at all is the loopback; the disk and a majority are asked for themselves.
    public async ValueTask TestAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        await node.ProbeStorageAsync(context.Token).ConfigureAwait(false);
        await router.ReadBarrierAsync(context).ConfigureAwait(false);
        response.Rows(1).Bool(true);
    }

    public ValueTask SetDebugAsync(RequestContext context, ResponseBuilder response)
    {
        var arguments = context.Arguments(1);
        bool wanted = arguments.ReadBool();
        arguments.End();
        settings.IsDebug = wanted;
        response.Rows(1).Bool(true);
        return ValueTask.CompletedTask;
    }

    private async ValueTask RemoveAsync(
        int nodeId, RequestContext context, ResponseBuilder response)
    {
        errors.RequireLeader("remove node");
        CheckIsRemovable(nodeId);
        try
        {
            await node.RemoveMemberAsync(nodeId, context.Token).ConfigureAwait(false);
        }
        catch (PgraftException e) when (e.Code == StatusCode.NotLeader)
        {
            throw errors.NeedsLeader("remove node");
        }

        AnswerChange(response);
    }

    // The size, so that whoever asked can be warned of a bad one.
    private void AnswerChange(ResponseBuilder response) =>
        response.Rows(2).Bool(true).Int32(node.GetMembers().Count);

    // Having given up leadership, this node is not the leader: which is what sends the router to
    // the new one.
    private async ValueTask StepAsideAsync(RequestContext context)
    {
        await node.YieldLeadershipAsync(context.Token).ConfigureAwait(false);
        throw errors.NotLeader("remove node");
    }

    private static MemberAddress DecodeMember(RequestContext context)
    {
        var arguments = context.Arguments(3);
        int nodeId = arguments.ReadInt32();
        var address = arguments.ReadText();
        int port = arguments.ReadInt32();
        arguments.End();
        return MemberSyntax.Checked(nodeId, System.Text.Encoding.UTF8.GetString(address), port);
    }

    private static int DecodeNodeId(RequestContext context)
    {
        var arguments = context.Arguments(1);
        int nodeId = arguments.ReadInt32();
        arguments.End();
        MemberSyntax.CheckNodeId(nodeId);
        return nodeId;
    }

    // 0 = whoever is best.
    private static int DecodeTarget(RequestContext context)
    {
        var arguments = context.Arguments(1);
        int? targetId = arguments.ReadNullableInt32();
        arguments.End();
        if (targetId is { } nodeId)
            MemberSyntax.CheckNodeId(nodeId);
        return targetId ?? 0;
    }

    private void CheckAddressIsFree(MemberAddress member)
    {
        foreach (var known in node.GetMembers().Select(m => m.Address))
        {
            if (known.NodeId != member.NodeId
                && known.Port == member.Port
                && known.Host.Equals(member.Host, StringComparison.OrdinalIgnoreCase))
            {
                throw WrongState(
                    $"node {Id(known.NodeId)} already has the address {known.Host} "
                    + $"port {Id(known.Port)}");
            }
        }
    }

    private void CheckIsRemovable(int nodeId)
    {
        CheckIsMember(nodeId);
        if (node.GetMembers().Count == 1)
            throw WrongState("the last member cannot be removed");
    }

    private void CheckIsMember(int nodeId)
    {
        if (!node.GetMembers().Any(m => m.Address.NodeId == nodeId))
        {
            throw new PgraftException(
                StatusCode.BadArgument, $"node {Id(nodeId)} is not a member of the cluster");
        }
    }

    private static PgraftException WrongState(string message) =>
        new(StatusCode.WrongState, message);

    private static string Id(int number) => number.ToString(CultureInfo.InvariantCulture);
}
