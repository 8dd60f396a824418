// Waits for something that another thread will make true, with a deadline instead of a sleep.
using System.Diagnostics;

namespace PgRaft.Server.Tests.Fakes;

internal static class Eventually
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    /// <summary>A signal that never runs its waiter on the thread that gives it.</summary>
    public static TaskCompletionSource NewSignal() =>
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static TaskCompletionSource<T> NewSignal<T>() =>
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static async Task TrueAsync(Func<bool> condition, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > Limit)
                throw new TimeoutException($"never came true: {what}");
            await Task.Delay(2); // between two looks
        }
    }

    /// <summary>Asks until the answer is right, and returns it.</summary>
    public static async Task<T> GetAsync<T>(
        Func<Task<T>> ask, Func<T, bool> isRight, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            var answer = await ask();
            if (isRight(answer))
                return answer;
            if (Stopwatch.GetElapsedTime(start) > Limit)
                throw new TimeoutException($"never came true: {what}");
            await Task.Delay(2); // between two looks
        }
    }

    public static Task<T> InTimeAsync<T>(Task<T> task) => task.WaitAsync(Limit);

    public static Task InTimeAsync(Task task) => task.WaitAsync(Limit);
}
