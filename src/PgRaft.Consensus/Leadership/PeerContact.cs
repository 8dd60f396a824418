// When a peer last answered, and what of this leadership it has.
// Threading: one writer per field, any reader. Failure: none.
namespace PgRaft.Consensus.Leadership;

/// <summary>What this node knows of a peer from its answers.</summary>
/// <param name="clock">The node's clock.</param>
/// <param name="lately">How long an answer, or its absence, says whether it is alive.</param>
internal sealed class PeerContact(TimeProvider clock, TimeSpan lately)
{
    private long _lastAnswer;
    private long _matchIndex;
    private long _matchTerm;
    private long _acknowledgedSend;
    private long _acknowledgedTerm;
    private int _sendingSnapshot;
    private long _snapshotSentBytes;
    private long _snapshotBytes;
    private TaskCompletionSource? _nextMatch;

    /// <summary>Called when the peer has more than before; must not block. For a node that is to
    /// be added.</summary>
    public Action? Advanced { get; set; }

    /// <summary>How long it takes to answer this node's appends.</summary>
    public RoundTrip RoundTrip { get; } = new(clock);

    /// <summary>Whether it is alive, by its answers and by what it sent as the leader.</summary>
    public Presence Presence { get; } = new(lately, clock);

    /// <summary>Timestamp of the last answer of any kind; 0 = never.</summary>
    public long LastAnswer => Volatile.Read(ref _lastAnswer);

    /// <summary>Whether a snapshot is being sent.</summary>
    public bool SendingSnapshot
    {
        get => Volatile.Read(ref _sendingSnapshot) != 0;
        set => Volatile.Write(ref _sendingSnapshot, value ? 1 : 0);
    }

    /// <summary>Bytes of the snapshot that were acknowledged, and its length.</summary>
    public (long SentBytes, long TotalBytes) SnapshotProgress =>
        (Volatile.Read(ref _snapshotSentBytes), Volatile.Read(ref _snapshotBytes));

    /// <summary>Whether the newest attempt failed after the newest answer.</summary>
    public bool Failing => Presence.FailedAt > LastAnswer;

    /// <summary>Whether the newest attempt failed, after the newest answer and within a time.
    /// </summary>
    public bool FailedWithin(TimeSpan time) =>
        Failing && clock.GetElapsedTime(Presence.FailedAt) < time;

    /// <summary>The peer answered something.</summary>
    public void Answered()
    {
        Volatile.Write(ref _lastAnswer, clock.GetTimestamp());
        Presence.Heard();
    }

    /// <summary>The peer did not answer.</summary>
    public void AttemptFailed() => Presence.Failed();

    /// <summary>The peer accepted this node as leader of a term, asked at a time.</summary>
    public void Acknowledged(long term, long sentAt)
    {
        if (Volatile.Read(ref _acknowledgedTerm) != term)
        {
            Volatile.Write(ref _acknowledgedSend, 0);
            Volatile.Write(ref _acknowledgedTerm, term);
        }

        long newest = Math.Max(sentAt, Volatile.Read(ref _acknowledgedSend));
        Volatile.Write(ref _acknowledgedSend, newest);
    }

    /// <summary>
    /// Send time of the newest request of <paramref name="term"/> that was accepted; 0 = none.
    /// </summary>
    public long AcknowledgedAt(long term) =>
        Volatile.Read(ref _acknowledgedTerm) == term ? Volatile.Read(ref _acknowledgedSend) : 0;

    /// <summary>The peer has everything up to an index, durably.</summary>
    public void Matched(long term, long index)
    {
        bool isMore = index > MatchIndex(term);
        Volatile.Write(ref _matchIndex, index);
        Volatile.Write(ref _matchTerm, term);

        // A full fence: whoever begins to wait after this sees the new index.
        Interlocked.Exchange(ref _nextMatch, null)?.TrySetResult();
        if (isMore)
        {
            Advanced?.Invoke();
        }
    }

    /// <summary>
    /// Ends when <see cref="Matched"/> is next called; to be taken before looking.
    /// </summary>
    public Task NextMatch()
    {
        var fresh = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return (Interlocked.CompareExchange(ref _nextMatch, fresh, null) ?? fresh).Task;
    }

    /// <summary>The peer has taken so much of a snapshot.</summary>
    public void SnapshotTaken(long sentBytes, long totalBytes)
    {
        Volatile.Write(ref _snapshotBytes, totalBytes);
        Volatile.Write(ref _snapshotSentBytes, sentBytes);
        Advanced?.Invoke();
    }

    /// <summary>Highest index known durable there in <paramref name="term"/>; 0 = none.</summary>
    public long MatchIndex(long term) =>
        Volatile.Read(ref _matchTerm) == term ? Volatile.Read(ref _matchIndex) : 0;

    /// <summary>Whether the peer answered within a time.</summary>
    public bool HeardWithin(TimeSpan time) =>
        LastAnswer != 0 && clock.GetElapsedTime(LastAnswer) < time;
}
