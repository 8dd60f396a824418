// Founding a cluster and changing its members.
// Threading: any thread; the engine allows one change at a time. Failure: as IRaftNode says; a
// change whose entry was appended but not seen committed has an unknown outcome.
using DotNext.Net.Cluster.Consensus.Raft;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Membership;
using PgRaft.Core;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    // A round sends a piece of what is missing, so it is the caller's time that limits them.
    private const int CatchUpRounds = 100_000;
    private readonly SemaphoreSlim _founding = new(1, 1);
    private int _changing;

    /// <inheritdoc/>
    public async Task FoundAsync(CancellationToken token)
    {
        await _founding.WaitAsync(token).ConfigureAwait(false);
        try
        {
            RequireNotStopping();
            RequireNoCluster(
                "See pgraft_get_nodes(). A node that is to join another cluster must be "
                + "removed from this one first, and then start with an empty pgraft.data_dir "
                + "and a new pgraft.node_id.");
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
    public async Task AddMemberAsync(MemberAddress member, CancellationToken token)
    {
        RequireLeadership();
        if (Disk.Configurations.Latest.Configuration.Contains(member.NodeId))
        {
            throw new PgraftException(
                StatusCode.WrongState, $"node {member.NodeId} is already a member");
        }

        // Before there is a candidate: a second call for the same node would share it with the
        // first and dispose it.
        if (Interlocked.Exchange(ref _changing, 1) != 0)
        {
            throw AnotherChange(null);
        }

        var candidate = Membership.Candidate(member);
        try
        {
            await ChangeAsync(
                $"adding node {member.NodeId}",
                () => Engine.AddAsync(
                    candidate, CatchUpRounds, new EngineConfigurations(Disk.Configurations), token),
                () => candidate.Peer.LastError, token).ConfigureAwait(false);
        }
        finally
        {
            Membership.Abandon(candidate);
            Volatile.Write(ref _changing, 0);
        }

        LogAdded(_logger, member.NodeId, member.Host, member.Port);
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

        if (!Disk.Configurations.Latest.Configuration.Contains(nodeId))
        {
            throw new PgraftException(StatusCode.WrongState, $"node {nodeId} is not a member");
        }

        RequireMajorityWithout(nodeId);
        if (Interlocked.Exchange(ref _changing, 1) != 0)
        {
            throw AnotherChange(null);
        }

        try
        {
            await ChangeAsync(
                $"removing node {nodeId}",
                () => Engine.RemoveAsync(
                    nodeId, new EngineConfigurations(Disk.Configurations), token),
                () => null, token).ConfigureAwait(false);
        }
        finally
        {
            Volatile.Write(ref _changing, 0);
        }

        LogRemoved(_logger, nodeId);
    }

    private async Task ChangeAsync(
        string what, Func<Task<bool>> change, Func<string?> lastError, CancellationToken token)
    {
        long appended = Log.OwnConfigurations;
        Exception? cause = null;
        RequireNoHandover();
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
            throw AnotherChange(e);
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
                : token.IsCancellationRequested ? "Time ran out." : "The member did not catch up.");
        throw proposed
            ? PendingProposal.Unknown($"{what}: the configuration was sent. {why}")
            : new PgraftException(
                StatusCode.NotDone, $"{what} was not done", why,
                "Check that the node is running and reachable, then run it again.", cause);
    }

    // A removal takes effect before it is committed, and is committed by those who remain: if most
    // of them do not answer, the cluster would stand still until they come back.
    private void RequireMajorityWithout(int nodeId)
    {
        var recently = TimeSpan.FromMilliseconds(_options.ElectionTimeoutMs * 2);
        var remaining = Disk.Configurations.Latest.Configuration.Addresses
            .Where(a => a.NodeId != nodeId).ToArray();
        int answering = remaining.Count(a => a.NodeId == SelfId
            || Membership.FindPeer(a.NodeId)?.Contact.HeardWithin(recently) == true);
        if (answering <= remaining.Length / 2)
        {
            throw new PgraftException(
                StatusCode.WrongState,
                $"removing node {nodeId} would leave the cluster without a majority",
                $"Of the {remaining.Length} members that would remain, {answering} "
                + $"{(answering == 1 ? "answers" : "answer")}.",
                "Bring the others back, or remove those that do not answer first.");
        }
    }

    private void RequireLeadership()
    {
        if (View.Tenure is null)
        {
            throw NotLeaderHere();
        }
    }

    private static PgraftException AnotherChange(Exception? cause) => new(
        StatusCode.WrongState, "another membership change is in progress", null,
        "Wait until it has finished; only one member can be added or removed at a time.", cause);

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

    [LoggerMessage(122, LogLevel.Information, "node {NodeId} at {Host}:{Port} added")]
    private static partial void LogAdded(ILogger logger, int nodeId, string host, int port);

    [LoggerMessage(123, LogLevel.Information, "node {NodeId} removed")]
    private static partial void LogRemoved(ILogger logger, int nodeId);
}
