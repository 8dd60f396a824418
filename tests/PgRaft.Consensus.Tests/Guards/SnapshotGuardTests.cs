// Snapshots that come too late.
using PgRaft.Core;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class SnapshotGuardTests
{
    [Fact]
    public async Task ASnapshotOvertakenByANewerOneIsDroppedAndHarmsNobody()
    {
        await using var fixture = new LogFixture();
        fixture.Machine.Apply(1, 1, CommandEncoder.KvPut("k"u8, "old"u8));
        var older = fixture.Machine.Capture();
        fixture.Machine.Apply(2, 1, CommandEncoder.KvPut("k"u8, "new"u8));
        fixture.Applier.WriteSnapshot(fixture.Machine.Capture());
        fixture.Applier.WriteSnapshot(older);
        Assert.Null(fixture.Failure);
        Assert.Equal(2, fixture.Snapshots.Current!.Index);
        var restored = new StateMachine();
        Assert.True(Apply.Applier.Restore(fixture.Snapshots, restored));
        Assert.Equal(2, restored.AppliedIndex);
    }
}
