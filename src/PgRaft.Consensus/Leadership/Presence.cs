// Whether another member is alive as far as this one has heard it, and since when.
//
// Three values: heard lately; asked lately and not answered since; neither. They also change with
// nobody there to notice: a sign of life, and a failure, count for a time and no longer. So what
// was true after the last event is kept, and what became of it since is worked out when asked; the
// moment is then that at which the time was over, not the one at which somebody looked.
// Threading: any thread; one lock, memory work only. Failure: none.
namespace PgRaft.Consensus.Leadership;

/// <summary>An answer with its age.</summary>
/// <param name="Value">Whether the member is alive; null = not known.</param>
/// <param name="Since">Since when that is the answer; null = ever since it is looked at.</param>
internal readonly record struct Liveness(bool? Value, DateTimeOffset? Since);

/// <summary>Signs of life of one member.</summary>
/// <param name="lately">How long a sign of life, or its absence, counts.</param>
/// <param name="clock">The node's clock.</param>
internal sealed class Presence(TimeSpan lately, TimeProvider clock)
{
    private readonly Lock _gate = new();
    private readonly long _lately = (long)(lately.TotalSeconds * clock.TimestampFrequency);
    private long _heardAt;
    private long _failedAt;
    private Moment _last;
    private Liveness _afterLast;

    /// <summary>Timestamp of the last sign of life; 0 = none.</summary>
    public long HeardAt => Volatile.Read(ref _heardAt);

    /// <summary>Timestamp of the last time that it did not answer; 0 = never.</summary>
    public long FailedAt => Volatile.Read(ref _failedAt);

    /// <summary>What is true now.</summary>
    public Liveness Now
    {
        get
        {
            lock (_gate)
            {
                return At(clock.GetTimestamp());
            }
        }
    }

    /// <summary>It answered, or led this node.</summary>
    public void Heard() => Note(ref _heardAt);

    /// <summary>It was asked and did not answer.</summary>
    public void Failed() => Note(ref _failedAt);

    private void Note(ref long eventAt)
    {
        lock (_gate)
        {
            var now = Moment.Of(clock);
            var before = At(now.Timestamp);
            Volatile.Write(ref eventAt, now.Timestamp);
            _last = now;
            bool? value = ValueAt(now.Timestamp);
            _afterLast = value == before.Value ? before : new Liveness(value, now.Wall);
        }
    }

    private Liveness At(long now)
    {
        long heardEnd = _heardAt + _lately;
        long failedEnd = _failedAt + _lately;
        var first = After(_afterLast, Math.Min(heardEnd, failedEnd), now);
        return After(first, Math.Max(heardEnd, failedEnd), now);
    }

    private Liveness After(Liveness before, long end, long now)
    {
        bool isOver = _last.Timestamp < end && end <= now;
        return isOver && ValueAt(end) is var value && value != before.Value
            ? new Liveness(value, _last.Wall + clock.GetElapsedTime(_last.Timestamp, end))
            : before;
    }

    private bool? ValueAt(long now) => _heardAt != 0 && now < _heardAt + _lately ? true
        : _failedAt > _heardAt && now < _failedAt + _lately ? false
        : null;
}
