// The key-value requests. Writes go to the leader; reads are answered from this node's applied
// state, after a read barrier unless the client asked for local state.
// Threading: any number of requests at once. Failure: PgraftException; limits are checked before
// anything enters the log.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Kv;
using PgRaft.Core.Requests;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal sealed class KvRequests(
    IRaftNode node,
    StateMachine state,
    ProposalRouter proposals,
    LeaderRouter router,
    ServerSettings settings,
    HeavyWork heavy)
{
    // Up to so many keys a listing is too short to be worth a thread.
    private const int LightKeys = 10_000;
    private const int KeysBetweenChecks = 1024;

    private long _gets;

    public ValueTask PutAsync(RequestContext context, ResponseBuilder response) =>
        proposals.ProposeAsync(
            context,
            response,
            EncodePut,
            0,
            static (r, proposal) => r.Rows(1).Int64(proposal.Result.Revision));

    public ValueTask DeleteAsync(RequestContext context, ResponseBuilder response) =>
        proposals.ProposeAsync(
            context,
            response,
            (c, id) => CommandEncoder.KvDelete(DecodeKey(c), id, node.DataVersion),
            0,
            static (r, proposal) => r.Rows(1).Bool(proposal.Result.Existed));

    public ValueTask CompareAndSetAsync(RequestContext context, ResponseBuilder response) =>
        proposals.ProposeAsync(
            context,
            response,
            EncodeCompareAndSet,
            0,
            static (r, proposal) => r.Rows(1).Int64(
                proposal.Result.Matched ? proposal.Result.Revision : null));

    public async ValueTask GetAsync(RequestContext context, ResponseBuilder response)
    {
        byte[] key = DecodeGet(context, out bool linearizable);
        if (linearizable)
            await router.ReadBarrierAsync(context).ConfigureAwait(false);
        Interlocked.Increment(ref _gets);
        response.Rows(1);
        if (state.Kv.TryGet(key, out var entry))
            response.Text(entry.Value.Span);
        else
            response.Null();
    }

    public async ValueTask ExistsAsync(RequestContext context, ResponseBuilder response)
    {
        byte[] key = DecodeKey(context);
        await router.ReadBarrierAsync(context).ConfigureAwait(false);
        response.Rows(1).Bool(state.Kv.Contains(key));
    }

    public async ValueTask ListKeysAsync(RequestContext context, ResponseBuilder response)
    {
        byte[] prefix = DecodePrefix(context);
        await router.ReadBarrierAsync(context).ConfigureAwait(false);
        var view = state.Kv;
        if (view.Stats.TotalKeys <= LightKeys)
        {
            WriteKeys(view, prefix, response, context.Token);
            return;
        }

        await heavy.RunAsync(
            () => WriteKeys(view, prefix, response, context.Token), context.Token)
            .ConfigureAwait(false);
    }

    public ValueTask GetStatsAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        var stats = state.Kv.Stats;
        response.Rows(9)
            .Int64(stats.TotalKeys)
            .Int64(stats.TotalBytes)
            .Int64(stats.Revision)
            .Int64(stats.CompactedRevision)
            .Int64(stats.Puts)
            .Int64(stats.Deletes)
            .Int64(Interlocked.Read(ref _gets))
            .Int64(0) // Leases: the state machine of this version has none.
            .Int64(0); // Watchers: nor has the request protocol watches.
        return ValueTask.CompletedTask;
    }

    private byte[] EncodePut(RequestContext context, RequestId id)
    {
        var arguments = context.Arguments(3);
        var key = arguments.ReadText();
        var value = arguments.ReadText();
        long leaseId = arguments.ReadInt64();
        arguments.End();
        RequestLimits.CheckKey(key);
        RequestLimits.CheckValue("value", value.Length, settings.MaxValueBytes);
        if (leaseId != 0)
        {
            throw new PgraftException(
                StatusCode.BadArgument,
                string.Create(CultureInfo.InvariantCulture, $"lease {leaseId} does not exist"));
        }

        return CommandEncoder.KvPut(key, value, 0, id, node.DataVersion);
    }

    private byte[] EncodeCompareAndSet(RequestContext context, RequestId id)
    {
        var arguments = context.Arguments(3);
        var key = arguments.ReadText();
        long expectedModRevision = arguments.ReadInt64();
        var value = arguments.ReadText();
        arguments.End();
        RequestLimits.CheckKey(key);
        RequestLimits.CheckValue("value", value.Length, settings.MaxValueBytes);
        if (expectedModRevision < 0)
        {
            throw new PgraftException(
                StatusCode.BadArgument,
                "expected_mod_revision must not be negative",
                null,
                "0 means that the key must not exist.");
        }

        return CommandEncoder.KvCas(key, expectedModRevision, value, id, node.DataVersion);
    }

    private static byte[] DecodeKey(RequestContext context)
    {
        var arguments = context.Arguments(1);
        var key = arguments.ReadText();
        arguments.End();
        RequestLimits.CheckKey(key);
        return key.ToArray();
    }

    private static byte[] DecodeGet(RequestContext context, out bool linearizable)
    {
        var arguments = context.Arguments(2);
        var key = arguments.ReadText();
        linearizable = arguments.ReadBool();
        arguments.End();
        RequestLimits.CheckKey(key);
        return key.ToArray();
    }

    private static byte[] DecodePrefix(RequestContext context)
    {
        var arguments = context.Arguments(1);
        byte[] prefix = arguments.ReadText().ToArray();
        arguments.End();
        return prefix;
    }

    private static int WriteKeys(
        KvView view, byte[] prefix, ResponseBuilder response, CancellationToken token)
    {
        int count = 0;
        response.Rows(1);
        foreach (var entry in view.List(prefix))
        {
            response.Text(entry.Key.Span);
            if (++count % KeysBetweenChecks == 0)
                token.ThrowIfCancellationRequested();
        }

        return count;
    }
}
