// Proposals of this node on their way from append to apply.
//
// What becomes of one is decided when its index is applied here: the same term means it was
// committed; another term means another leader's entry was committed in its place, so it certainly
// was not. A snapshot that jumps over the index tells nothing. Truncation here tells nothing
// either: the entry may survive elsewhere and be committed by a later leader (Ongaro 2014 §3.6.1).
// Threading: any thread. Failure: as said.
using PgRaft.Core;

namespace PgRaft.Consensus.Apply;

/// <summary>A proposal that has been appended and waits to be applied.</summary>
internal sealed class PendingProposal(long index, long term)
{
    private readonly TaskCompletionSource<Proposal> _source = new();

    /// <summary>Index of its entry.</summary>
    public long Index => index;

    /// <summary>Term of its entry.</summary>
    public long Term => term;

    /// <summary>Ends when the outcome is known; continuations may run on the thread that applied
    /// the entry.</summary>
    public Task<Proposal> Outcome => _source.Task;

    /// <summary>The entry at its index was applied.</summary>
    public void Applied(long appliedTerm, ApplyResult result)
    {
        if (appliedTerm == term)
        {
            _source.TrySetResult(new Proposal(index, term, result));
        }
        else
        {
            Fail(_source, new PgraftException(
                StatusCode.NotDone, "the write was not done: leadership changed",
                $"Another leader's entry was committed at log index {index}.", "Run it again."));
        }
    }

    /// <summary>Nothing more can be learned about it here. May be called under a lock.</summary>
    public void Lost(string why) => ThreadPool.UnsafeQueueUserWorkItem(
        source => Fail(source, Unknown(why)), _source, preferLocal: false);

    /// <summary>The error for a proposal that left and whose fate is not known.</summary>
    public static PgraftException Unknown(string why) => new(
        StatusCode.OutcomeUnknown, "the outcome of the write is unknown", why,
        "It may have been done, or may still be. Read the data back before running it again.");

    // Who proposed it may have gone, its time over or cancelled: then nobody looks at this, and the
    // runtime would report it.
    private static void Fail(TaskCompletionSource<Proposal> source, PgraftException failure)
    {
        source.TrySetException(failure);
        _ = source.Task.Exception;
    }
}
