// Where committed entries are applied: a few small ones by the thread that learns of the commit,
// which may be the log's writer, everything else by the applier's own.
// Threading: one test. Failure: assertions.
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class ApplierTests
{
    private static readonly byte[] SmallPut = CommandEncoder.KvPut("key"u8, "value"u8);

    [Fact]
    public Task AFewSmallEntriesAreAppliedByWhoCommits() => CommitAsync(true, SmallPut, SmallPut);

    [Fact]
    public Task ManyEntriesAreAppliedElsewhere() =>
        CommitAsync(false, [.. Enumerable.Repeat(SmallPut, 5)]);

    [Fact]
    public Task ALargeValueIsAppliedElsewhere() =>
        CommitAsync(false, CommandEncoder.KvPut("key"u8, new byte[100_000]));

    [Fact]
    public Task ACompactionIsAppliedElsewhere() =>
        CommitAsync(false, SmallPut, CommandEncoder.KvCompact(1));

    [Fact]
    public async Task NothingIsAppliedAfterTheEnd()
    {
        await using var fixture = new LogFixture();
        await ReceiveAsync(fixture, SmallPut);
        await fixture.Applier.DisposeAsync();
        fixture.Applier.CommitAdvanced(1);
        Assert.Equal(0, fixture.Machine.AppliedIndex);
    }

    private static async Task CommitAsync(bool here, params byte[][] commands)
    {
        await using var fixture = new LogFixture();
        await ReceiveAsync(fixture, commands);
        int committer = 0;
        bool wasHere = false;
        fixture.Applier.Applied += () =>
            wasHere |= Environment.CurrentManagedThreadId == Volatile.Read(ref committer);

        Volatile.Write(ref committer, Environment.CurrentManagedThreadId);
        fixture.Applier.CommitAdvanced(commands.Length);
        Volatile.Write(ref committer, 0);

        await fixture.Applier.WaitAppliedAsync(commands.Length, TestCluster.Limit);
        Assert.Equal(commands.Length, fixture.Machine.AppliedIndex);
        Assert.Equal(here, wasHere);
    }

    private static ValueTask ReceiveAsync(LogFixture fixture, params byte[][] commands)
    {
        fixture.Log.ObserveTerm(1);
        return fixture.ReceiveAsync(
            [.. commands.Select((c, i) => new LogRecord(i + 1, 1, EntryKind.Command, c))]);
    }
}
