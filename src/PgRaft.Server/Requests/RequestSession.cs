// Gives out the ids of the requests that start on this node. One session for all backends, from the
// start of the core to its end; a slot for each request under way, so that the state machine has
// to remember no more than the last result of each slot.
// Threading: any thread; a short lock. Failure: more requests at once than slots are refused.
using System.Security.Cryptography;

using PgRaft.Core;
using PgRaft.Core.Requests;

namespace PgRaft.Server.Requests;

internal sealed class RequestSession(StateMachine state)
{
    private readonly ulong _session = NewSession();
    private readonly Lock _lock = new();

    // The last one back goes out first: the fewest slots are used.
    private readonly Stack<int> _free = new();
    private readonly List<long> _sequences = [];

    /// <summary>An id that was never given out before. Its slot is taken until it is returned.
    /// </summary>
    public RequestId Rent()
    {
        long appliedIndex = state.AppliedIndex;
        lock (_lock)
        {
            if (!_free.TryPop(out int slot))
                slot = NewSlot();
            return new RequestId(_session, slot, ++_sequences[slot], appliedIndex);
        }
    }

    /// <summary>The request has its answer or was given up: from here on a copy of it may be
    /// refused as forgotten.</summary>
    public void Return(RequestId id)
    {
        lock (_lock)
            _free.Push(id.Slot);
    }

    private int NewSlot()
    {
        if (_sequences.Count == Limits.MaxSlotsPerSession)
        {
            throw new PgraftException(
                StatusCode.Busy, "too many writes are under way", "Nothing was changed.");
        }

        _sequences.Add(0);
        return _sequences.Count - 1;
    }

    private static ulong NewSession()
    {
        ulong session;
        do
        {
            session = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));
        }
        while (session == 0);
        return session;
    }
}
