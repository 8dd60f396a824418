// A deadline for a stream of short calls that follow one another. Arming a timer for each would
// wake the timer thread at every heartbeat; this one is armed anew only when half of it is used up.
// Threading: one caller at a time. Failure: none.
using System.Diagnostics;

namespace PgRaft.Consensus.Transport;

/// <summary>Gives each call between half and the whole of a time.</summary>
internal sealed class SharedDeadline : IDisposable
{
    private CancellationTokenSource? _current;
    private long _armedAt;
    private TimeSpan _time;

    /// <summary>A token that is cancelled after <paramref name="time"/>, or up to half of it
    /// sooner.</summary>
    public CancellationToken Next(TimeSpan time)
    {
        bool fresh = _current is { IsCancellationRequested: false } && _time == time
            && Stopwatch.GetElapsedTime(_armedAt) < time / 2;
        if (!fresh)
        {
            _current?.Dispose();
            _current = new CancellationTokenSource(time);
            _armedAt = Stopwatch.GetTimestamp();
            _time = time;
        }

        return _current!.Token;
    }

    /// <inheritdoc/>
    public void Dispose() => _current?.Dispose();
}
