// The largest resident memory of processes over a stretch of time, asked of the kernel every so
// often while something else goes on.
//
// Threading: one task samples; the maxima are read after it has ended. Failure: a process that is
// gone keeps the largest value seen.

using System.Globalization;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class ResidentMemory : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly CancellationTokenSource _stop = new();
    private readonly (string Name, int Pid)[] _processes;
    private readonly long[] _largest;
    private readonly Task _sampler;

    public ResidentMemory(params (string Name, int Pid)[] processes)
    {
        _processes = processes;
        _largest = new long[processes.Length];
        _sampler = SampleAsync();
    }

    /// <summary>The resident memory of processes now.</summary>
    public static string Of(params (string Name, int Pid)[] processes)
    {
        return string.Join(", ", processes.Select(
            p => Text(p.Name, ServerProcesses.ResidentBytes(p.Pid))));
    }

    /// <summary>Ends the sampling and returns the largest values.</summary>
    public async Task<string> LargestAsync()
    {
        await _stop.CancelAsync();
        await _sampler;
        return string.Join(", ", _processes.Select((p, i) => Text(p.Name, _largest[i])));
    }

    public async ValueTask DisposeAsync()
    {
        await LargestAsync();
        _stop.Dispose();
    }

    private static string Text(string name, long bytes)
    {
        return string.Create(CultureInfo.InvariantCulture, $"{name} {bytes >> 20} MB");
    }

    private async Task SampleAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            for (var i = 0; i < _processes.Length; i++)
            {
                if (ServerProcesses.Exists(_processes[i].Pid))
                {
                    _largest[i] = Math.Max(
                        _largest[i], ServerProcesses.ResidentBytes(_processes[i].Pid));
                }
            }

            await Task.Delay(Interval);
        }
    }
}
