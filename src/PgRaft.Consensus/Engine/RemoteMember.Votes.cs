// A peer that is asked for its vote: one short try, and no waiting for who is silent once the
// others have decided, because the engine waits for everybody's answer (hazard 6).
// Threading: any thread. Failure: MemberUnavailableException.
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Engine;

internal sealed partial class RemoteMember
{
    private TimeSpan VoteTimeout =>
        TimeSpan.FromMilliseconds(Math.Max(host.ElectionTimeoutMs / 4, 25));

    /// <inheritdoc/>
    public override async Task<Result<bool>> VoteAsync(
        long term, long lastLogIndex, long lastLogTerm, CancellationToken token)
    {
        var request = VoteRequest(term, lastLogIndex, lastLogTerm);
        if (host.MayStandEarly(term - 1))
        {
            request.Int64(term - 1);
        }

        var ballot = host.Ballots.Of(MessageType.Vote, term, Address.NodeId);
        var (theirTerm, value) = await AskAsync(MessageType.Vote, request, ballot, token)
            .ConfigureAwait(false);
        if (value != 0)
        {
            ballot.Granted();
        }

        return new Result<bool> { Term = theirTerm, Value = value != 0 };
    }

    /// <inheritdoc/>
    public override async Task<Result<PreVoteResult>> PreVoteAsync(
        long term, long lastLogIndex, long lastLogTerm, CancellationToken token)
    {
        // The leader has found that this node has everything, and wants the election.
        if (host.MayStandEarly(term))
        {
            return new Result<PreVoteResult> { Term = term, Value = PreVoteResult.Accepted };
        }

        var request = VoteRequest(term, lastLogIndex, lastLogTerm);
        var ballot = host.Ballots.Of(MessageType.PreVote, term, Address.NodeId);
        var (theirTerm, answer) = await AskAsync(MessageType.PreVote, request, ballot, token)
            .ConfigureAwait(false);
        var value = (PreVoteResult)answer;

        // Hazard 18: the engine ignores the term of a refusal. A member with the longer log but an
        // older term would be refused for ever, and the other for its log.
        if (value != PreVoteResult.Accepted)
        {
            await host.Log.ObserveTermAsync(theirTerm).ConfigureAwait(false);
        }
        else
        {
            ballot.Granted();
        }

        return new Result<PreVoteResult> { Term = theirTerm, Value = value };
    }

    // Hazard 34: the engine expects nothing but an unavailable member or cancellation here;
    // anything else would end its election without a word.
    private async Task<(long Term, byte Answer)> AskAsync(
        MessageType type, FrameWriter request, Ballot ballot, CancellationToken token)
    {
        try
        {
            var call = CheckedAsync(peer.Consensus.CallAsync(type, request, VoteTimeout, token));
            var body = new BodyReader(await UnlessDecidedAsync(call, ballot).ConfigureAwait(false));
            var result = (body.Int64(), body.Byte());
            if (type == MessageType.PreVote && !body.Rest.IsEmpty
                && body.Int64() is > 0 and var configurationIndex)
            {
                host.ToldRemoved(configurationIndex, Address.NodeId);
            }

            return result;
        }
        catch (Exception e)
            when (e is not (OperationCanceledException or MemberUnavailableException))
        {
            throw new MemberUnavailableException(this, e.Message, e);
        }
        finally
        {
            host.Balloted();
        }
    }

    // Hazard 6: who is silent is not waited for when the others have decided.
    private async Task<ReadOnlyMemory<byte>> UnlessDecidedAsync(
        Task<ReadOnlyMemory<byte>> call, Ballot ballot)
    {
        if (await Task.WhenAny(call, ballot.Decided).ConfigureAwait(false) == call)
        {
            return await call.ConfigureAwait(false);
        }

        // It goes on until its deadline, and closes a connection that is silent.
        call.Observe();
        throw new MemberUnavailableException(this, "it had not answered when a majority had");
    }

    private static FrameWriter VoteRequest(long term, long lastLogIndex, long lastLogTerm) =>
        new FrameWriter().Int64(term).Int64(lastLogIndex).Int64(lastLogTerm);
}
