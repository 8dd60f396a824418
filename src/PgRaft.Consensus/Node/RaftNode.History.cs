// What becomes of role, term and leader over time, and why.
// Threading: any thread. Failure: none; what happens after the end of the node is not noted.
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Leadership;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    // End of the lease that was last counted as lapsed.
    private long _lapsedDeadlineNs;

    /// <inheritdoc/>
    public IReadOnlyList<LeadershipChange> GetHistory() => _history.ToArray();

    private void NoteHistory()
    {
        if (_log is not { } log || _engine is null)
        {
            return;
        }

        _history.Note(() =>
        {
            long term = log.Term;
            return (Role(), term, KnownLeader(term, out _));
        });
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
        if (View.Tenure == tenure)
        {
            _history.Expect(_stopping.IsCancellationRequested ? "the node stops"
                : Log.Term > tenure.Term ? $"another member began term {Log.Term}"
                : "a majority of the members did not answer");
        }
    }

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
}
