// At which syncs the power goes: at every one in turn, or at some of them spread over the whole.
// Threading: none. Failure: a workload with fewer syncs than it must have, or that never ends,
// fails the test.
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

/// <param name="every">Every sync in turn; otherwise <see cref="Sampled"/> of them.</param>
internal sealed class SyncPoints(bool every)
{
    /// <summary>How many are tried when not all are.</summary>
    public const int Sampled = 8;

    /// <summary>No workload here makes as many syncs.</summary>
    public const int Never = 1000;

    /// <summary>Runs a workload again and again.</summary>
    /// <param name="least">How many syncs it makes at least.</param>
    /// <param name="runAsync">Runs it with a power failure at the given sync, checks what must hold
    /// afterwards, and returns how many syncs there were before the power went, or the workload was
    /// over.</param>
    public async Task RunAsync(int least, Func<int, Task<int>> runAsync)
    {
        int total = await runAsync(Never);
        Assert.InRange(total, least, Never - 1);
        if (!every)
        {
            foreach (int sync in Sample(total))
            {
                await runAsync(sync);
            }

            return;
        }

        // How many there are differs a little from run to run.
        int made = total;
        for (int sync = 1; sync <= total || made >= sync - 1; sync++)
        {
            Assert.True(sync < Never, "the workload never ends");
            made = await runAsync(sync);
        }
    }

    // The first, the last, and one by chance from each part between.
    private static IEnumerable<int> Sample(int total)
    {
        var random = new Random(total);
        for (int part = 0; part < Sampled; part++)
        {
            int from = 1 + (part * total / Sampled);
            int to = (part + 1) * total / Sampled;
            yield return part == 0 ? 1
                : part == Sampled - 1 ? total
                : random.Next(from, Math.Max(from, to) + 1);
        }
    }
}
