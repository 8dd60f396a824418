// Founding a cluster and changing its members.
// Threading: any thread; one change at a time (_change). Failure: as IRaftNode says; a
// change whose entry was appended but not seen committed has an unknown outcome.
using DotNext.Net.Cluster.Consensus.Raft;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Node;
using PgRaft.Core;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    // A round sends a piece of what is missing, so it is the caller's time that limits them.
    private const int CatchUpRounds = 100_000;
    private readonly SemaphoreSlim _founding = new(1, 1);
    private string? _change;
    private RemoteMember? _joining;

    /// <inheritdoc/>
    public async Task FoundAsync(CancellationToken token)
    {
        await _founding.WaitAsync(token).ConfigureAwait(false);
        try
        {
            RequireNotStopping();
            RequireNoCluster(
                "pgraft.initial_cluster or an earlier call has founded it, see pgraft_get_nodes(). "
                + "A node that is to join another cluster must be removed from this one first, and "
                + "then start with an empty pgraft.data_dir.");
            await FoundAloneAsync().ConfigureAwait(false);
        }
        finally
        {
            _founding.Release();
        }

        await LeadingAsync(
            () => new PgraftException(
                StatusCode.OutcomeUnknown,
                "the cluster was founded, but this node does not lead it yet",
                "The founding is on disk, and the node goes on with it by itself, also after a "
                + "restart.",
                "Wait until pgraft_is_leader() is true here; do not found it again."),
            token).ConfigureAwait(false);
        LogFounded(_logger, _options.ClusterId, SelfId);
    }

    // Not the caller's to cancel. Once the configuration may be on disk, no failure can say that
    // nothing was done.
    private async Task FoundAloneAsync()
    {
        bool isOnDisk = false;
        try
        {
            await OwnThread.Begin();
            Disk.Found(Configuration.Found(NewFoundingId(), [_options.Self]));
            isOnDisk = true;
            await StopEngineAsync().ConfigureAwait(false);
            await StartEngineAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (PgraftException e) when (isOnDisk || e.Code != StatusCode.DiskFull)
        {
            throw new PgraftException(
                StatusCode.OutcomeUnknown, $"the cluster may have been founded: {e.Message}",
                e.Detail, "See pgraft_get_nodes() once the worker runs again.", e);
        }
    }

    /// <inheritdoc/>
    public async Task AddMemberAsync(
        MemberAddress member, IProgress<JoinProgress>? progress, CancellationToken token)
    {
        var tenure = View.Tenure ?? throw NotLeaderHere();
        if (Disk.Configurations.Latest.Configuration.Find(member.NodeId) is { } present)
        {
            throw AlreadyMember(present);
        }

        string what = $"adding node {member.NodeId}";

        // Before there is a candidate: a second call for the same node would share it with the
        // first and dispose it.
        BeginChange(what);
        var candidate = Membership.Candidate(member);
        try
        {
            await RequireMajorityAsync(what, token).ConfigureAwait(false);
            Volatile.Write(ref _joining, candidate);
            Follow(candidate, tenure.Term, progress);
            await ChangeAsync(
                what, () => JoinAsync(candidate, tenure, token),
                () => candidate.Peer.LastError, token).ConfigureAwait(false);
        }
        finally
        {
            candidate.Peer.Contact.Advanced = null;
            Volatile.Write(ref _joining, null);
            Membership.Abandon(candidate);
            EndChange();
        }

        LogAdded(
            _logger, member.NodeId, member.Host, member.Port, Membership.Active.Count);
    }

    /// <inheritdoc/>
    public async Task RemoveMemberAsync(int nodeId, CancellationToken token)
    {
        RequireLeadership();
        if (nodeId == SelfId)
        {
            throw new PgraftException(
                StatusCode.WrongState, "the leader cannot remove itself while it leads");
        }

        if (Disk.Configurations.Latest.Configuration.Find(nodeId) is not { } member)
        {
            throw new PgraftException(StatusCode.WrongState, $"node {nodeId} is not a member");
        }

        string what = $"removing node {nodeId}";
        BeginChange(what);
        try
        {
            await RequireMajorityAsync(what, token).ConfigureAwait(false);
            await RequireMajorityWithoutAsync(nodeId).ConfigureAwait(false);
            await ChangeAsync(
                what,
                () => Engine.RemoveAsync(
                    nodeId, new EngineConfigurations(Disk.Configurations), token),
                () => null, token).ConfigureAwait(false);
        }
        finally
        {
            EndChange();
        }

        LogRemoved(_logger, nodeId, Membership.Active.Count);
        await TellRemovedAsync(member, token).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task UpdateMemberAsync(MemberAddress member, CancellationToken token)
    {
        RequireLeadership();
        string what = $"changing the address of node {member.NodeId}";
        BeginChange(what);
        try
        {
            await RequireMajorityAsync(what, token).ConfigureAwait(false);
            var configuration = Disk.Configurations.Latest.Configuration;
            if (configuration.Find(member.NodeId) is not { } present)
            {
                throw new PgraftException(
                    StatusCode.WrongState, $"node {member.NodeId} is not a member");
            }

            if (present != member)
            {
                await RequireNobodyElseThereAsync(member, token).ConfigureAwait(false);
                await ProposeAsync(what, configuration.With(member), token).ConfigureAwait(false);
                LogMoved(_logger, member.NodeId, member.Host, member.Port);
            }
        }
        finally
        {
            EndChange();
        }
    }

    // The voters stay the same, so that every majority of before is one of after.
    private async Task ProposeAsync(
        string what, Configuration configuration, CancellationToken token)
    {
        var tenure = View.Tenure ?? throw NotLeaderHere();
        var pending = Log.ProposeConfiguration(tenure.Term, configuration) ?? throw NotLeaderHere();
        Engine.Replicate();
        try
        {
            await pending.Outcome.WaitAsync(token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            throw PendingProposal.Unknown(
                $"{what}: the configuration was sent as log index {pending.Index}, but not "
                + "committed in time.");
        }
    }

    private async Task<bool> JoinAsync(
        RemoteMember candidate, Tenure tenure, CancellationToken token)
    {
        var timeout = TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(token, tenure.Ended);
        try
        {
            await Invitation.JoinAsync(
                candidate.Peer, tenure.Term, Disk.Log.LastIndex, timeout, limit.Token)
                .ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            throw NotLeaderHere();
        }

        candidate.Peer.Contact.Advanced?.Invoke();
        return await Engine.AddAsync(
            candidate, CatchUpRounds, new EngineConfigurations(Disk.Configurations), token)
            .ConfigureAwait(false);
    }

    private void Follow(RemoteMember candidate, long term, IProgress<JoinProgress>? progress)
    {
        var contact = candidate.Peer.Contact;
        contact.Advanced = () =>
        {
            var (sent, total) = contact.SnapshotProgress;
            bool isSent = Disk.Configurations.Latest.Configuration
                .Contains(candidate.Address.NodeId);
            progress?.Report(new JoinProgress(
                isSent ? JoinStage.Committing
                    : contact.SendingSnapshot ? JoinStage.Snapshot : JoinStage.CatchingUp,
                contact.MatchIndex(term), Disk.Log.LastIndex, sent, total));
        };
    }

    // Another node's port would be believed until the first message is refused there. Who does not
    // answer may be on its way.
    private async Task RequireNobodyElseThereAsync(MemberAddress member, CancellationToken token)
    {
        if (member.NodeId == SelfId)
        {
            return;
        }

        var timeout = TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs);
        await using var peer = Membership.NewPeer(member);
        if (await Invitation.RefusalAsync(peer, timeout, token).ConfigureAwait(false)
            is { } refusal)
        {
            throw new PgraftException(
                StatusCode.WrongState,
                $"node {member.NodeId} is not at {member.Host}:{member.Port}", refusal,
                "Check the address, and pgraft.node_id and pgraft.cluster_id of the server there.");
        }
    }

    private async Task ChangeAsync(
        string what, Func<Task<bool>> change, Func<string?> lastError, CancellationToken token)
    {
        long appended = Log.OwnConfigurations;
        Exception? cause = null;
        try
        {
            // One change begins where the one before has taken effect.
            await Membership.SettleAsync(token).ConfigureAwait(false);
            if (await change().ConfigureAwait(false))
            {
                return;
            }
        }
        catch (RaftCluster<Member>.ConcurrentMembershipModificationException e)
        {
            throw AnotherChange(null, e);
        }
        catch (Exception e) when (e is OperationCanceledException or NotLeaderException
            or ObjectDisposedException)
        {
            cause = e;
        }

        // Not what the newest configuration says now: another leader may have replaced the entry
        // here already, and it may still be committed elsewhere.
        bool proposed = Log.OwnConfigurations != appended;
        string why = lastError()
            ?? (cause is NotLeaderException ? "Leadership was lost."
                : token.IsCancellationRequested ? "It made no progress in time, or was cancelled."
                : "The member did not catch up.");
        throw proposed
            ? PendingProposal.Unknown($"{what}: the configuration was sent. {why}")
            : new PgraftException(
                StatusCode.NotDone, $"{what} was not done", why,
                "Check that the node is running and reachable, then run it again.", cause);
    }

    // A removal takes effect before it is committed, and is committed by those who remain: if most
    // of them do not answer, the cluster would stand still until they come back. So they are asked
    // now: that one has answered lately says nothing if it has just died.
    private async Task RequireMajorityWithoutAsync(int nodeId)
    {
        long asked = _options.Clock.GetTimestamp();
        int self = nodeId == SelfId ? 0 : 1;
        var others = Disk.Configurations.Latest.Configuration.Addresses
            .Where(a => a.NodeId != nodeId && a.NodeId != SelfId)
            .Select(a => Membership.FindPeer(a.NodeId)?.Contact)
            .ToArray();
        int remaining = others.Length + self;
        using var limit = Limit(Recently);

        // The limit as a task: nothing waits for a time to pass.
        var over = Task.Delay(Timeout.InfiniteTimeSpan, limit.Token);
        while (Answering() <= remaining / 2)
        {
            if (over.IsCompleted)
            {
                throw NoMajorityWithout(nodeId, remaining, Answering());
            }

            var answers = others.OfType<PeerContact>().Select(c => c.NextMatch());
            var next = Task.WhenAny([.. answers, over]);
            Engine.Replicate();
            await next.ConfigureAwait(false);
        }

        int Answering() => self + others.Count(c => c?.LastAnswer > asked);
    }

    private static PgraftException NoMajorityWithout(
        int nodeId, int remaining, int answering) => new(
        StatusCode.WrongState,
        $"removing node {nodeId} would leave the cluster without a majority",
        $"Of the {remaining} members that would remain, {answering} "
        + $"{(answering == 1 ? "answers" : "answer")}.",
        "Bring the others back, or remove those that do not answer first.");

    private void RequireLeadership()
    {
        if (View.Tenure is null)
        {
            throw NotLeaderHere();
        }
    }

    // A leader that has lost its majority may not know it yet. It has nothing to promise, and
    // nothing of a change may be left behind.
    private async Task RequireMajorityAsync(string what, CancellationToken token)
    {
        try
        {
            await LeaderReadIndexAsync(token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            throw new PgraftException(
                StatusCode.TimedOut, $"{what} was not done: no majority of the members answered",
                "Nothing was changed.",
                "Check that a majority of the members is up and connected.", e);
        }
    }

    private void BeginChange(string what)
    {
        if (Interlocked.CompareExchange(ref _change, what, null) is { } other)
        {
            throw AnotherChange($"This leader is {other}.", null);
        }

        try
        {
            RequireNoHandover();
            RequireLastCommitted();
        }
        catch
        {
            EndChange();
            throw;
        }
    }

    private void RequireLastCommitted()
    {
        if (Disk.Configurations.Latest.Index > Log.CommitIndex)
        {
            throw AnotherChange("The last change has not been committed yet.", null);
        }
    }

    private void EndChange() => Volatile.Write(ref _change, null);

    private static PgraftException AnotherChange(string? detail, Exception? cause) => new(
        StatusCode.WrongState, "another membership change is in progress", detail,
        "Wait until it has finished; only one member can be added, removed or moved at a time.",
        cause);

    private static PgraftException AlreadyMember(MemberAddress present) => new(
        StatusCode.WrongState, $"node {present.NodeId} is already a member",
        $"It is at {present.Host}:{present.Port}.",
        $"To give the id to another server, remove this one first with "
        + $"pgraft_remove_node({present.NodeId}). If it has moved, use pgraft_update_node().");

    private static long NewFoundingId() =>
        BitConverter.ToInt64(Guid.NewGuid().ToByteArray()) | 1;

    private void RequireNoCluster(string hint)
    {
        if (!Disk.Configurations.Latest.Configuration.IsEmpty || Disk.Log.LastIndex > 0)
        {
            throw new PgraftException(
                StatusCode.WrongState, "this node already belongs to a cluster", null, hint);
        }
    }

    // An engine that is started while the node stops would not be stopped again.
    private void RequireNotStopping()
    {
        if (_stopping.IsCancellationRequested)
        {
            throw new PgraftException(StatusCode.Stopping, "the node is stopping");
        }
    }

    private async Task LeadingAsync(Func<PgraftException> inVain, CancellationToken token)
    {
        try
        {
            for (long seen = View.Version; View.Tenure is null; seen = View.Version)
            {
                await View.WaitChangeAsync(seen, token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            throw inVain();
        }
    }

    [LoggerMessage(121, LogLevel.Information, "cluster \"{ClusterId}\" founded by node {NodeId}")]
    private static partial void LogFounded(ILogger logger, string clusterId, int nodeId);

    [LoggerMessage(122, LogLevel.Information,
        "node {NodeId} at {Host}:{Port} added: {Members} members")]
    private static partial void LogAdded(
        ILogger logger, int nodeId, string host, int port, int members);

    [LoggerMessage(123, LogLevel.Information, "node {NodeId} removed: {Members} members")]
    private static partial void LogRemoved(ILogger logger, int nodeId, int members);

    [LoggerMessage(124, LogLevel.Information, "node {NodeId} is at {Host}:{Port} from now on")]
    private static partial void LogMoved(ILogger logger, int nodeId, string host, int port);
}
