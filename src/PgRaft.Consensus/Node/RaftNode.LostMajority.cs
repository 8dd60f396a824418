// When a member may go on alone: only if nobody it can reach leads, knows who leads, is one of a
// majority, or has a newer log. What it cannot reach it cannot ask: that the others are gone for
// ever is the operator's word.
// Threading: with _founding held. Failure: PgraftException(WrongState) that says what speaks
// against it; nothing has changed then.
using System.Globalization;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Recovery;
using PgRaft.Consensus.Transport;
using PgRaft.Core;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    // Long enough for a busy machine to answer, however short elections are.
    private static readonly TimeSpan ShortestPatience = TimeSpan.FromSeconds(1);

    private async Task<NodeReport> RequireMajorityLostAsync(CancellationToken caller)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(
            caller, _stopping.Token);
        var token = either.Token;
        var members = Disk.Configurations.Latest.Configuration;
        if (!Membership.CountsSelf)
        {
            throw CannotRecover(
                members.IsEmpty
                    ? "this node belongs to no cluster"
                    : "this node is not a member in the last configuration it knows",
                null,
                members.IsEmpty
                    ? "Use pgraft_init() or pgraft_restore()."
                    : "Run it on a member.");
        }

        var own = Report();
        RequireNoLeader(own.LeaderId);
        var others = members.Addresses.Where(a => a.NodeId != SelfId).ToArray();
        var answers = await Task.WhenAll(others.Select(a => AskTwiceAsync(a, token)))
            .ConfigureAwait(false);
        token.ThrowIfCancellationRequested();
        foreach (var answer in answers)
        {
            RequireNoLeader(answer.Report?.LeaderId ?? 0);
        }

        RequireNoMajority(members.Count, 1 + answers.Count(a => a.IsThere));
        for (int i = 0; i < others.Length; i++)
        {
            RequireOlder(others[i].NodeId, answers[i].Report, own);
        }

        return own;
    }

    // A connection from before may lead to a machine that is no longer there: the second attempt is
    // made on a new one if the first was not answered.
    private async Task<Answer> AskTwiceAsync(MemberAddress member, CancellationToken token)
    {
        if (Membership.FindPeer(member.NodeId) is not { } peer)
        {
            return default;
        }

        var first = await AskAsync(peer, token).ConfigureAwait(false);
        return first.Report is null ? await AskAsync(peer, token).ConfigureAwait(false) : first;
    }

    private async Task<Answer> AskAsync(Peer peer, CancellationToken token)
    {
        var patience = TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs * 2);
        try
        {
            var answer = await peer.Client.CallAsync(
                MessageType.Report, new FrameWriter(),
                patience > ShortestPatience ? patience : ShortestPatience, token)
                .ConfigureAwait(false);
            return new Answer(true, NodeReport.Read(new BodyReader(answer)));
        }
        catch (PeerUnavailableException e)
        {
            // It said hello, and does not know the question or has no time for it.
            return new Answer(e.RequestLeft, null);
        }
        catch (InvalidDataException)
        {
            return new Answer(true, null);
        }
    }

    // Between the answers and the end of the engine this node may have voted or followed.
    private void RequireUnchangedSince(NodeReport before)
    {
        var now = Report();
        RequireNoLeader(now.LeaderId);
        if (now.Term != before.Term || now.LastIndex != before.LastIndex)
        {
            throw new PgraftException(
                StatusCode.NotDone, "cannot recover the cluster - an election is under way",
                "Nothing was changed.", "Try again if no leader is elected.");
        }
    }

    private void RequireNoLeader(int leaderId)
    {
        if (leaderId != 0)
        {
            throw CannotRecover(
                leaderId == SelfId
                    ? "this node leads it"
                    : string.Create(CultureInfo.InvariantCulture, $"node {leaderId} leads it"),
                null,
                "The cluster works. Members that are gone are removed with pgraft_remove_node() "
                + "on the leader.");
        }
    }

    private static void RequireNoMajority(int members, int answering)
    {
        if (answering > members / 2)
        {
            throw CannotRecover(
                "a majority of the members answers",
                string.Create(
                    CultureInfo.InvariantCulture, $"{answering} of {members} members answer."),
                "They elect a leader by themselves. See the server logs if they do not.");
        }
    }

    private static void RequireOlder(int nodeId, NodeReport? theirs, NodeReport own)
    {
        if (theirs?.IsNewerThan(own) == true)
        {
            throw CannotRecover(
                string.Create(CultureInfo.InvariantCulture, $"node {nodeId} has a newer log"),
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"It ends at index {theirs.LastIndex} of term {theirs.LastTerm}, this node's "
                    + $"at index {own.LastIndex} of term {own.LastTerm}."),
                "Run it on that node. If its data is not wanted, stop that node first.");
        }
    }

    private readonly record struct Answer(bool IsThere, NodeReport? Report);

    private static PgraftException CannotRecover(string reason, string? detail, string hint) => new(
        StatusCode.WrongState, $"cannot recover the cluster - {reason}", detail, hint);
}
