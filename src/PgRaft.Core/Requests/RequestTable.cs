// Remembers what came of requests, so that a second copy of one is answered and not applied.
//
// Why it is hard: memory is bounded, and what was forgotten must not be applied again either. A
// slot remembers its last request only; older ones in it are refused. A slot without a request is
// either new or was forgotten with its session: all that was ever applied in it then lies at or
// below ForgottenIndex, and a copy of a request is only ever applied above the request's base
// index. So with a base index of at least ForgottenIndex no copy can have been applied, and the
// request is new; with a lower one it is refused, which is always safe.
//
// In a slot that has a request, a higher sequence is new even if the session was forgotten before:
// its base index is not lower than that of the request which brought the slot back.
//
// Everything here is a function of the applied log: members at one index hold equal tables.
// Threading: the state machine's, under its lock; a clone that nobody changes may be read by any
// thread. Failure: an exception leaves the table as it was.
namespace PgRaft.Core.Requests;

/// <summary>What to do with a command.</summary>
internal enum RequestVerdict
{
    /// <summary>No copy of it was applied: apply it, and remember the result.</summary>
    New,

    /// <summary>A copy was applied: the answer is its result.</summary>
    Applied,

    /// <summary>Whether a copy was applied is no longer known: do not apply it.</summary>
    Forgotten,
}

/// <summary>Sessions and the last result of each of their slots.</summary>
internal sealed class RequestTable
{
    private readonly Dictionary<ulong, Session> _sessions;

    public RequestTable()
        : this([], 0)
    {
    }

    public RequestTable(Dictionary<ulong, Session> sessions, long forgottenIndex)
    {
        _sessions = sessions;
        ForgottenIndex = forgottenIndex;
    }

    /// <summary>Invariant: no session that was forgotten applied anything above it.</summary>
    public long ForgottenIndex { get; private set; }

    /// <summary>The sessions by id, 0..128.</summary>
    public IEnumerable<Session> Sessions => _sessions.Values.OrderBy(s => s.Id);

    public int Count => _sessions.Count;

    /// <summary>Says whether a request is new; one lookup.</summary>
    /// <param name="id">Not none.</param>
    /// <param name="session">Its session, or null when it is unknown.</param>
    /// <param name="first">The result of the copy that was applied, or default.</param>
    public RequestVerdict Judge(RequestId id, out Session? session, out SlotResult first)
    {
        first = _sessions.TryGetValue(id.Session, out session) ? session.Last(id.Slot) : default;
        if (first.Sequence == 0)
            return id.BaseIndex >= ForgottenIndex ? RequestVerdict.New : RequestVerdict.Forgotten;
        if (id.Sequence > first.Sequence)
            return RequestVerdict.New;
        return id.Sequence == first.Sequence ? RequestVerdict.Applied : RequestVerdict.Forgotten;
    }

    /// <summary>Remembers the result of a request that was judged new.</summary>
    /// <param name="id">The request.</param>
    /// <param name="session">As judged.</param>
    /// <param name="result">What came of it.</param>
    public void Record(RequestId id, Session? session, ApplyResult result) =>
        (session ?? Open(id.Session)).Set(id.Slot, SlotResult.Of(id, result));

    /// <summary>A table that changes no more; linear in its size.</summary>
    public RequestTable Clone() => new(
        _sessions.ToDictionary(s => s.Key, s => s.Value.Clone()), ForgottenIndex);

    private Session Open(ulong id)
    {
        if (_sessions.Count >= Limits.MaxSessions)
            ForgetOldest();
        var session = new Session(id);
        _sessions.Add(id, session);
        return session;
    }

    // Rare: a core has to start for it.
    private void ForgetOldest()
    {
        var oldest = _sessions.Values.MinBy(s => s.LastIndex)!;
        _sessions.Remove(oldest.Id);
        ForgottenIndex = Math.Max(ForgottenIndex, oldest.LastIndex);
    }

    /// <summary>One session: its slots, as far as any was used.</summary>
    internal sealed class Session(ulong id)
    {
        private SlotResult[] _slots = [];

        public ulong Id => id;

        /// <summary>Log index of the last request applied; different for each session.</summary>
        public long LastIndex { get; private set; }

        public ReadOnlySpan<SlotResult> Slots => _slots;

        public SlotResult Last(int slot) => slot < _slots.Length ? _slots[slot] : default;

        public void Set(int slot, SlotResult result)
        {
            if (slot >= _slots.Length)
            {
                int doubled = Math.Min(_slots.Length * 2, Limits.MaxSlotsPerSession);
                Array.Resize(ref _slots, Math.Max(slot + 1, doubled));
            }

            _slots[slot] = result;
            LastIndex = Math.Max(LastIndex, result.Index);
        }

        public Session Clone()
        {
            return new Session(id) { LastIndex = LastIndex, _slots = [.. _slots] };
        }
    }
}
