// What becomes of role, term and leader over time, and why.
// Threading: any thread. Failure: none; what happens after the end of the node is not noted.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Leadership;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    // End of the lease that was last counted as lapsed.
    private long _lapsedDeadlineNs;

    // Whether the log has said that no leader is heard of.
    private int _saidTimeout;

    // Why this node's leadership ends; null while it does not.
    private string? _endedBy;

    /// <inheritdoc/>
    public IReadOnlyList<LeadershipChange> GetHistory() => _history.ToArray();

    private void NoteHistory()
    {
        if (_log is not { } log || _engine is null)
        {
            return;
        }

        // A later term ends it before the engine does.
        if (View.Tenure is { } tenure && log.Term > tenure.Term)
        {
            SayWhyItEnded(tenure);
        }

        bool isOtherLeader = _history.Note(() =>
        {
            long term = log.Term;
            return (Role(View.Leads(term)), term, KnownLeader(term, out _));
        });
        if (!isOtherLeader)
        {
            return;
        }

        Volatile.Write(ref _saidTimeout, 0);
        int leaderId = LeaderId;
        if (leaderId != 0 && leaderId != SelfId)
        {
            LogFollows(_logger, SelfId, leaderId, log.Term);
        }
    }

    // Once until a leader is known again: without a majority a voter tries for ever.
    private void SayElectionTimeout()
    {
        if (StandsBecauseAsked() || View.Tenure is not null
            || Membership.Active.Count == 1 || Interlocked.Exchange(ref _saidTimeout, 1) != 0)
        {
            return;
        }

        LogElectionTimeout(_logger, SelfId, _options.ElectionTimeoutMs, Log.Term);
    }

    // In the term that the leader has ended with its consent, and in the one that begins with it,
    // as long as nobody leads that.
    private bool StandsBecauseAsked()
    {
        var self = (IMemberHost)this;
        long term = Log.Term;
        return self.MayStandEarly(term)
            || (self.MayStandEarly(term - 1) && View.LeaderOf(term) == 0);
    }

    private void SayWhyItStands()
    {
        bool isAsked = ((IMemberHost)this).MayStandEarly(Log.Term - 1);
        _history.Expect(isAsked
            ? "the leader handed over to this node"
            : "heard of no leader within the election timeout");
    }

    private void SayWhyItEnded(Tenure tenure)
    {
        if (View.Tenure != tenure)
        {
            return;
        }

        if (_stopping.IsCancellationRequested)
        {
            ExpectEnd("the node stops");
        }
        else if (_lease.CededTerm == tenure.Term)
        {
            // The engine may step down before the term of who was let stand is in the log.
            ExpectEnd("this node gave up leadership to hand it over");
        }
        else if (Log.Term > tenure.Term)
        {
            ExpectEnd(LeadershipHistory.BegunByAnother(Log.Term));
        }
        else
        {
            ExpectEnd("a majority of the members did not answer");
            LogNoMajority(
                _logger, SelfId, 1 + Membership.Remotes.Count(Answers), Membership.Active.Count,
                tenure.Term);
        }
    }

    private void ExpectEnd(string cause)
    {
        Volatile.Write(ref _endedBy, cause);
        _history.Expect(cause);
    }

    private bool Answers(RemoteMember remote) =>
        remote.Peer.Contact is { Failing: false } contact && contact.HeardWithin(Lately);

    // Each lease once: a lapsed one is looked at again at every sign of life that does not yet make
    // a majority.
    private void CountLapse()
    {
        long deadline = _lease.Current;
        bool hasLapsed = deadline > 0
            && LeaderLease.ToNs(_options.Clock.GetTimestamp()) >= deadline;
        if (hasLapsed && Interlocked.Exchange(ref _lapsedDeadlineNs, deadline) != deadline)
        {
            Meters.LeaseExpirations.Increment();
        }
    }

    [LoggerMessage(114, LogLevel.Warning,
        "election timeout: node {NodeId} has heard of no leader for {ElectionTimeoutMs} ms or more "
        + "in term {Term}, and asks for votes until there is one")]
    private static partial void LogElectionTimeout(
        ILogger logger, int nodeId, int electionTimeoutMs, long term);

    [LoggerMessage(115, LogLevel.Warning,
        "node {NodeId} failed to replicate to a majority: {Live} of {Members} members answer; "
        + "leadership of term {Term} is given up")]
    private static partial void LogNoMajority(
        ILogger logger, int nodeId, int live, int members, long term);

    [LoggerMessage(116, LogLevel.Information,
        "node {NodeId} follows node {LeaderId}, the leader of term {Term}")]
    private static partial void LogFollows(
        ILogger logger, int nodeId, int leaderId, long term);
}
