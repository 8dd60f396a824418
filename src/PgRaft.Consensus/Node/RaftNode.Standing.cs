// Standing for election because the leader of the term wants it (RaftNode.Transfer.cs).
//
// The consent is for one election: that of the term after. It is kept until a newer one comes, so
// that an election that did not begin at once may still make use of it; it harms nobody then
// either, because the leader will not hold a lease in that term again.
// Threading: any thread. Failure: a broken invariant or a storage error ends the node.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Engine;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    // The term whose leader, or this node as its leader, has consented to the next election.
    private long _consentTerm;
    private Task _standing = Task.CompletedTask;

    bool IMemberHost.MayStandEarly(long term) =>
        term != 0 && term == Volatile.Read(ref _consentTerm);

    /// <summary>Whether this node has the log up to an index and may stand for election.</summary>
    internal bool HasUpTo(long lastIndex) =>
        Disk.Log.LastIndex >= lastIndex && Membership.Active.Contains(SelfId)
        && Membership.IsSettled && !DiskStandsStill;

    /// <summary>The leader of a term has asked this node to stand for the next.</summary>
    internal void StandSoon(long term, int leaderId)
    {
        LogAsked(_logger, leaderId, term);
        Volatile.Write(ref _consentTerm, term);
        _standing = StandAsync(term);
    }

    /// <summary>Waits until the term is later than one, at most for a time.</summary>
    internal async Task WaitTermAfterAsync(long term, TimeSpan limit)
    {
        var passed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void OnChanged()
        {
            if (Log.Term > term)
            {
                passed.TrySetResult();
            }
        }

        Log.Changed += OnChanged;
        try
        {
            // Looked at again after registering: the term may have changed in between.
            OnChanged();
            await passed.Task.WaitAsync(limit, _stopping.Token).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The caller looks at the term.
        }
        finally
        {
            Log.Changed -= OnChanged;
        }
    }

    private async Task StandAsync(long term)
    {
        try
        {
            await _requests!.StandAsync(term, Patience, _stopping.Token).ConfigureAwait(false);
        }
        catch (Exception) when (_stopping.IsCancellationRequested)
        {
            // Nobody stands any more.
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    [LoggerMessage(134, LogLevel.Information,
        "node {LeaderId}, the leader of term {Term}, lets this node stand for election")]
    private static partial void LogAsked(ILogger logger, int leaderId, long term);
}
