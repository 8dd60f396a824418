// A voter that is slower than the majority: what its rounds need not ask again.
//
// Hazard 46: the engine begins the next round as soon as a majority has answered, and the rounds
// queue behind a slower member. Each would take it a round trip of its own, although the first
// answer can speak for all: a member far away would be as many round trips behind as the queue is
// long, and a cluster that comes to need its word would wait for them.
// Threading: one task at a time replicates to a member. Failure: none.
namespace PgRaft.Consensus.Engine;

internal sealed partial class RemoteMember
{
    // How many rounds had begun when the message left that was acknowledged last; -1 = none was.
    private long _acknowledgedRound = -1;

    // What the round asks for was acknowledged by the answer to a message that left after the round
    // had begun: one with an entry that was not there when it began, or one since which no round
    // has begun.
    private bool NeedsNoMessage(long term, long last)
    {
        long match = peer.Contact.MatchIndex(term);
        return match > last
            || (match == last && Volatile.Read(ref _acknowledgedRound) == host.Log.RoundsBegun);
    }

    // The engine's own next index is behind: it counts what it asked for, not what was sent.
    private void BeginBehindMatch(long term, ref long previous, ref long previousTerm)
    {
        long match = peer.Contact.MatchIndex(term);
        if (match > previous && host.Log.TermAt(match) is >= 0 and var matchTerm)
        {
            previous = match;
            previousTerm = matchTerm;
        }
    }

    // Another leader's, whom this node follows by now: not this one's to send.
    private void LeaveOutLaterTerms(long term)
    {
        while (_batch.Count > 0 && _batch[^1].Term > term)
        {
            _batch.RemoveAt(_batch.Count - 1);
        }
    }
}
