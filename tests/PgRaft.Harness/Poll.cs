// Waiting in tests: ask again until the answer is right or a deadline has passed. Nothing here
// waits for a fixed time and hopes.
//
// Threading: no state. Failure: TimeoutException that says what was awaited and the last answer.

using System.Diagnostics;
using Npgsql;

namespace PgRaft.Harness;

internal static class Poll
{
    public static readonly TimeSpan DefaultDeadline = TimeSpan.FromSeconds(20);

    // Limits how often a question is asked; the answer decides when the wait is over.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// Asks until <paramref name="done"/> accepts the answer, and returns it. A server that
    /// cannot be reached or reports an error has not answered yet.
    /// </summary>
    public static async Task<T> UntilAsync<T>(
        string what, Func<Task<T>> ask, Func<T, bool> done, TimeSpan? deadline = null)
    {
        var clock = Stopwatch.StartNew();
        var limit = deadline ?? DefaultDeadline;
        object? last = null;
        while (true)
        {
            try
            {
                var answer = await ask();
                if (done(answer))
                {
                    return answer;
                }

                last = answer;
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                last = e.Message;
            }

            if (clock.Elapsed > limit)
            {
                throw new TimeoutException(
                    $"{what}: not within {limit.TotalSeconds} s; last answer: {last}");
            }

            await Task.Delay(Interval);
        }
    }

    public static Task UntilAsync(string what, Func<Task<bool>> ask, TimeSpan? deadline = null)
    {
        return UntilAsync(what, ask, answer => answer, deadline);
    }

    public static Task UntilAsync(string what, Func<bool> ask, TimeSpan? deadline = null)
    {
        return UntilAsync(what, () => Task.FromResult(ask()), deadline);
    }
}
