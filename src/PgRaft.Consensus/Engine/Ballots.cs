// Which election a request for a vote belongs to, and whether it is decided: the engine waits for
// everybody's answer, also for that of a machine that has lost its power (hazard 6).
// Threading: any thread. Failure: none; an answer that is not waited for counts as none, which
// cannot make a majority of grants.
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Engine;

/// <summary>The elections of one node, one after the other.</summary>
/// <param name="members">How many members there are, this node among them.</param>
internal sealed class Ballots(Func<int> members)
{
    private readonly Lock _gate = new();
    private Ballot _newest = new(default, 0, 0);

    /// <summary>The election in which a member is asked. Each is asked once in each, and the next
    /// begins when all have answered.</summary>
    public Ballot Of(MessageType type, long term, int nodeId)
    {
        lock (_gate)
        {
            if (!_newest.Takes(type, term, nodeId))
            {
                _newest = new Ballot(type, term, members() / 2);
                _newest.Takes(type, term, nodeId);
            }

            return _newest;
        }
    }
}

/// <summary>One round of requests for votes or pre-votes.</summary>
/// <param name="type">Which of both.</param>
/// <param name="term">The term in the request.</param>
/// <param name="needed">Grants that make a majority with this node's own.</param>
internal sealed class Ballot(MessageType type, long term, int needed)
{
    private readonly TaskCompletionSource _decided =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly HashSet<int> _asked = [];
    private int _granted;

    /// <summary>Ends when a majority has granted it; not otherwise.</summary>
    public Task Decided => _decided.Task;

    /// <summary>A member has granted it.</summary>
    public void Granted()
    {
        if (Interlocked.Increment(ref _granted) == needed)
        {
            _decided.SetResult();
        }
    }

    /// <summary>Whether a request belongs to it. To be called by one thread at a time.</summary>
    public bool Takes(MessageType itsType, long itsTerm, int nodeId) =>
        itsType == type && itsTerm == term && _asked.Add(nodeId);
}
