// Lets a round wait a moment for those whom the last one has answered. A round costs the same
// whatever it carries, a message and a sync on every member, and those who were answered will
// usually ask again: with many clients, half of them are on their way while the others come.
//
// Why it is hard: nobody may come. So a round waits only when writers are many, and some wait for
// it already (who is alone is never held up); only until half of all who wait or were answered are
// there; no longer than the last round took, or pgraft.max_batch_delay; and not at all when a read
// needs one.
//
// Threading: AfterRound, WritersAreMany and Appended under the log's lock; BeginNow from any
// thread. Failure: none.
namespace PgRaft.Consensus.Engine;

/// <summary>Decides when the next round begins.</summary>
internal sealed class RoundPacer : IDisposable
{
    /// <summary>Fewer writers are not worth a pause: the timer may end it a millisecond
    /// late.</summary>
    public const int Many = 8;

    private readonly Func<int> _limitMs;
    private readonly TimeProvider _clock;
    private readonly ITimer _timer;
    private TaskCompletionSource? _waiting;
    private long _lastWanted;
    private long _began;
    private int _isWantedNow;

    /// <summary>Prepares it.</summary>
    /// <param name="limitMs">Longest wait in milliseconds; 0 = none.</param>
    /// <param name="clock">Measures how long rounds take.</param>
    public RoundPacer(Func<int> limitMs, TimeProvider clock)
    {
        _limitMs = limitMs;
        _clock = clock;
        _timer = clock.CreateTimer(
            static pacer => ((RoundPacer)pacer!).EndWait(), this, Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    /// <summary>Never waits.</summary>
    public static RoundPacer None { get; } = new(static () => 0, TimeProvider.System);

    /// <summary>Whether the last round said so: the entries of the next one are worth one sync.
    /// </summary>
    public bool WritersAreMany { get; private set; }

    /// <summary>A round begins.</summary>
    public void Begun() => Volatile.Write(ref _began, _clock.GetTimestamp());

    /// <summary>Called when a round has committed entries.</summary>
    /// <param name="answered">How many.</param>
    /// <param name="committed">Index of the last.</param>
    /// <param name="last">Index of the last entry in the log.</param>
    /// <returns>What the next round waits for; null when it does not.</returns>
    public Task? AfterRound(long answered, long committed, long last)
    {
        long queued = last - committed;
        long wanted = (answered + queued + 1) / 2;
        int limitMs = _limitMs();
        bool isWantedNow = Interlocked.Exchange(ref _isWantedNow, 0) != 0;
        WritersAreMany = answered + queued >= Many;
        if (isWantedNow || !WritersAreMany || queued == 0 || queued >= wanted || limitMs == 0)
        {
            return null;
        }

        double tookMs = _clock.GetElapsedTime(Volatile.Read(ref _began)).TotalMilliseconds;
        _lastWanted = committed + wanted;
        var waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _waiting, waiting);
        _timer.Change(
            TimeSpan.FromMilliseconds(Math.Clamp(tookMs, 1, limitMs)), Timeout.InfiniteTimeSpan);
        return waiting.Task;
    }

    /// <summary>An entry was proposed.</summary>
    public void Appended(long index)
    {
        if (Volatile.Read(ref _waiting) is not null && index >= _lastWanted)
        {
            EndWait();
        }
    }

    /// <summary>Somebody waits for a round and not for an entry: this one, or the next, begins at
    /// once.</summary>
    public void BeginNow()
    {
        Volatile.Write(ref _isWantedNow, 1);
        EndWait();
    }

    /// <summary>Nothing waits any more.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        BeginNow();
    }

    private void EndWait() => Interlocked.Exchange(ref _waiting, null)?.TrySetResult();
}
