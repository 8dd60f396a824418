// How long nobody's write was acknowledged while a majority of the members was untouched by faults.
//
// Threading: any thread. Failure: none.

using System.Diagnostics;

namespace PgRaft.Chaos.Checks;

internal sealed class Availability
{
    private readonly Lock _gate = new();
    private bool _expected;
    private long _since;
    private TimeSpan _longest;

    /// <summary>The longest such time so far, one that goes on included.</summary>
    public TimeSpan Longest
    {
        get
        {
            lock (_gate)
            {
                Close();
                return _longest;
            }
        }
    }

    /// <summary>A write was acknowledged.</summary>
    public void Acknowledged()
    {
        lock (_gate)
        {
            Close();
            _since = Stopwatch.GetTimestamp();
        }
    }

    /// <summary>Whether, from now on, writes should be possible and are tried.</summary>
    public void Expect(bool expected)
    {
        lock (_gate)
        {
            Close();
            if (expected && !_expected)
            {
                _since = Stopwatch.GetTimestamp();
            }

            _expected = expected;
        }
    }

    private void Close()
    {
        if (_expected && Stopwatch.GetElapsedTime(_since) is var gap && gap > _longest)
        {
            _longest = gap;
        }
    }
}
