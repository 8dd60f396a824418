// What single operations took. Threading: one writer. Failure: IOException.
using System.Diagnostics;
using System.Globalization;

namespace PgRaft.Probes;

internal sealed class Samples
{
    private readonly List<double> _microseconds = [];

    public int Count => _microseconds.Count;

    public void Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        Add(start);
    }

    public void Add(long startTimestamp) =>
        _microseconds.Add(Stopwatch.GetElapsedTime(startTimestamp).TotalMicroseconds);

    /// <summary>Adds them to the end of a file, without the first tenth.</summary>
    public void AppendTo(string path) => File.AppendAllLines(
        path,
        _microseconds.Skip(_microseconds.Count / 10)
            .Select(us => us.ToString("F1", CultureInfo.InvariantCulture)));
}
