// Pending proposals by log index.
// Threading: any thread. Failure: none.

namespace PgRaft.Consensus.Apply;

/// <summary>Finds the proposal that waits for an index.</summary>
internal sealed class ProposalTable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<long, PendingProposal> _pending = [];

    /// <summary>
    /// Adds a proposal; one that waited for the same index in an older term is lost.
    /// </summary>
    public PendingProposal Add(long index, long term)
    {
        var proposal = new PendingProposal(index, term);
        PendingProposal? displaced;
        lock (_gate)
        {
            _pending.Remove(index, out displaced);
            _pending.Add(index, proposal);
        }

        displaced?.Lost(
            "Leadership changed after the write was sent, and its log entry was replaced here.");
        return proposal;
    }

    /// <summary>Removes and returns the proposal that waits for an index, if one does.</summary>
    public PendingProposal? Take(long index)
    {
        lock (_gate)
        {
            _pending.Remove(index, out var proposal);
            return proposal;
        }
    }

    /// <summary>Gives up all proposals at or below an index.</summary>
    public void LoseUpTo(long index, string why)
    {
        List<PendingProposal> lost;
        lock (_gate)
        {
            lost = [.. _pending.Values.Where(p => p.Index <= index)];
            lost.ForEach(p => _pending.Remove(p.Index));
        }

        lost.ForEach(p => p.Lost(why));
    }
}
