// The end of a membership: telling a node that it was removed, and learning it; and what a node
// says when the cluster expects it elsewhere.
//
// Threading: any thread. Failure: a node that cannot be told learns it when it asks for votes; a
// removal that cannot be saved ends the node.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Node;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    private MemberAddress? _warnedOf;

    void Engine.IMemberHost.ToldRemoved(long configurationIndex, int teller) =>
        _ = LearnSoonAsync(configurationIndex, teller);

    /// <summary>
    /// Index of the committed configuration if it does not have a node as a member; 0 = it has.
    /// </summary>
    internal long NoMemberSince(int nodeId)
    {
        var (index, configuration) = Disk.Configurations.At(Log.CommitIndex);
        return configuration.IsEmpty || configuration.Contains(nodeId) ? 0 : index;
    }

    /// <summary>A member says that this node is not one in the committed configuration of an
    /// index. Believed unless this node is a member by a later one.</summary>
    internal async Task LearnRemovalAsync(long configurationIndex, int teller)
    {
        await OwnThread.Begin();
        if (!Membership.AcceptRemoval(configurationIndex))
        {
            return;
        }

        LogToldRemoved(_logger, SelfId, configurationIndex, teller);
        RaiseStatusChanged();
        await Membership.SettleAsync(_stopping.Token).ConfigureAwait(false);
        RaiseStatusChanged();
    }

    private async Task LearnSoonAsync(long configurationIndex, int teller)
    {
        try
        {
            await LearnRemovalAsync(configurationIndex, teller).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // Stopping.
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    // Nothing rests on it; so it is tried once, and a node that is down is not waited for long.
    private async Task TellRemovedAsync(MemberAddress member, CancellationToken token)
    {
        var timeout = TimeSpan.FromMilliseconds(Math.Min(_options.ElectionTimeoutMs, 1000));
        await using var peer = Membership.NewPeer(member);
        if (!await Invitation.TellRemovedAsync(
            peer, NoMemberSince(member.NodeId), timeout, token).ConfigureAwait(false))
        {
            LogNotTold(_logger, member.NodeId);
        }
    }

    private void SayIfRemoved()
    {
        if (Membership.RemovedIndex is > 0 and var index)
        {
            LogRemovedAlready(_logger, SelfId, index);
        }
    }

    // The settings decide where this node listens, the configuration where peers look for it.
    private void CompareOwnAddress()
    {
        var own = _options.Self;
        if (Membership.Active.Find(SelfId) is not { } known || known == _warnedOf
            || (known.Port == own.Port
                && known.Host.Equals(own.Host, StringComparison.OrdinalIgnoreCase)))
        {
            return;
        }

        _warnedOf = known;
        LogElsewhere(_logger, SelfId, known.Host, known.Port, own.Host, own.Port);
    }

    [LoggerMessage(125, LogLevel.Warning,
        "node {NodeId} was removed from the cluster as of log index {Index}, says node {Teller}; "
        + "it takes no part any more: stop it, or add it again")]
    private static partial void LogToldRemoved(
        ILogger logger, int nodeId, long index, int teller);

    [LoggerMessage(126, LogLevel.Warning,
        "node {NodeId} was removed from the cluster as of log index {Index}; it takes no part any "
        + "more: stop it, or add it again")]
    private static partial void LogRemovedAlready(ILogger logger, int nodeId, long index);

    [LoggerMessage(127, LogLevel.Information,
        "node {NodeId} could not be told that it was removed; it will learn it when it asks")]
    private static partial void LogNotTold(ILogger logger, int nodeId);

    [LoggerMessage(128, LogLevel.Warning,
        "the cluster expects node {NodeId} at {Host}:{Port}, but by its settings it is at "
        + "{OwnHost}:{OwnPort}: correct pgraft.address and pgraft.port, or run "
        + "SELECT pgraft_update_node({NodeId}, '{OwnHost}', {OwnPort}) on the leader")]
    private static partial void LogElsewhere(
        ILogger logger, int nodeId, string host, int port, string ownHost, int ownPort);
}
