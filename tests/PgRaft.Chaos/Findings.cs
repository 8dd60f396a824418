// What a run has found wrong, and the log of what it did. The first violation ends the run, so
// that the evidence is close to the cause.
// Threading: any thread may add. Failure: none.

using System.Diagnostics;
using System.Globalization;

namespace PgRaft.Chaos;

internal sealed class Findings : IDisposable
{
    private const int MaxKept = 50;

    private readonly Lock _gate = new();
    private readonly List<string> _violations = [];
    private readonly List<string> _events = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly Action<string> _show;

    /// <param name="show">Gets every line as it is added.</param>
    public Findings(Action<string> show)
    {
        _show = show;
        Stopped = _stop.Token;
    }

    /// <summary>Cancelled when there is a violation.</summary>
    public CancellationToken Stopped { get; }

    public IReadOnlyList<string> Violations
    {
        get
        {
            lock (_gate)
            {
                return [.. _violations];
            }
        }
    }

    /// <summary>Everything that was done, a line each, with the seconds since the beginning.
    /// </summary>
    public IReadOnlyList<string> Events
    {
        get
        {
            lock (_gate)
            {
                return [.. _events];
            }
        }
    }

    public void Event(string text)
    {
        lock (_gate)
        {
            var line = string.Create(
                CultureInfo.InvariantCulture, $"{_clock.Elapsed.TotalSeconds,8:F2} s  {text}");
            _events.Add(line);
            _show(line);
        }
    }

    public void Violation(string text)
    {
        Event($"VIOLATION: {text}");
        lock (_gate)
        {
            if (_violations.Count < MaxKept)
            {
                _violations.Add(text);
            }
        }

        _stop.Cancel();
    }

    public void Dispose()
    {
        _stop.Dispose();
    }
}
