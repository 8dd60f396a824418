// What monitoring does to a member: /metrics once a second over a connection that stays open, as
// Prometheus keeps it. It says "ready" when the code of both sides is warm, so that what is
// measured beside it does not pay for its start.
using System.Diagnostics;

namespace PgRaft.Probes;

internal static class ScrapeProbe
{
    private const int WarmUps = 20;
    private static readonly TimeSpan ServingLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    public static async Task RunAsync(int port, int seconds, string file)
    {
        using var http = new HttpClient
        {
            BaseAddress = new Uri(FormattableString.Invariant($"http://127.0.0.1:{port}")),
            Timeout = TimeSpan.FromSeconds(10),
        };
        await ServingAsync(http).ConfigureAwait(false);
        for (int i = 0; i < WarmUps; i++)
        {
            _ = await http.GetStringAsync("/metrics").ConfigureAwait(false);
        }

        await Console.Out.WriteLineAsync("ready").ConfigureAwait(false);
        var times = new Samples();
        using var timer = new PeriodicTimer(Interval);
        for (int i = 0; i < seconds; i++)
        {
            long start = Stopwatch.GetTimestamp();
            _ = await http.GetStringAsync("/metrics").ConfigureAwait(false);
            times.Add(start);
            await timer.WaitForNextTickAsync().ConfigureAwait(false);
        }

        times.AppendTo(file);
    }

    // Switched on by a reload, it is there a little later.
    private static async Task ServingAsync(HttpClient http)
    {
        long start = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            try
            {
                _ = await http.GetStringAsync("/livez").ConfigureAwait(false);
                return;
            }
            catch (HttpRequestException) when (Stopwatch.GetElapsedTime(start) < ServingLimit)
            {
                await timer.WaitForNextTickAsync().ConfigureAwait(false);
            }
        }
    }
}
