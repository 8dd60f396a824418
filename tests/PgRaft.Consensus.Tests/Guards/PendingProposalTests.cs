// A proposal whose caller has gone: what becomes of it is nobody's to hear.
// Threading: one test. Failure: asserts.
using System.Runtime.CompilerServices;
using PgRaft.Consensus.Apply;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class PendingProposalTests
{
    // Of no other test.
    private const long Replaced = 777_000_777;
    private const string Lost = "lost by the test of proposals whose caller has gone";

    [Fact]
    public async Task ACallerThatHasGoneLeavesNoFailedTaskBehind()
    {
        Assert.Equal(0, await FailedTasks.LeftByAsync($"log index {Replaced}", ReplaceAsync));
        Assert.Equal(0, await FailedTasks.LeftByAsync(Lost, LoseAsync));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task ReplaceAsync()
    {
        var pending = new PendingProposal(Replaced, 1);
        await LeaveAsync(pending);
        pending.Applied(2, default);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task LoseAsync()
    {
        var pending = new PendingProposal(1, 1);
        await LeaveAsync(pending);
        pending.Lost(Lost);
        while (!pending.Outcome.IsCompleted)
        {
            await Task.Yield();
        }
    }

    private static async Task LeaveAsync(PendingProposal pending)
    {
        using var gone = new CancellationTokenSource();
        var waiting = pending.Outcome.WaitAsync(gone.Token);
        await gone.CancelAsync();
        await Assert.ThrowsAsync<TaskCanceledException>(() => waiting);
    }
}
