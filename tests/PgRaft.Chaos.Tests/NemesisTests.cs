// Which faults may be under way together.

using PgRaft.Chaos.Faults;

namespace PgRaft.Chaos.Tests;

public sealed class NemesisTests
{
    // Two of three members without their data are a cluster that is lost, as it must be.
    [Theory]
    [InlineData(3, 0, true)]
    [InlineData(3, 1, false)]
    [InlineData(5, 1, true)]
    [InlineData(5, 2, false)]
    public void A_minority_may_lose_its_data(int members, int damaged, bool hasRoom)
    {
        var underWay = Enumerable.Range(0, damaged).Select(_ => new Plain { Damages = true });

        Assert.Equal(
            hasRoom, Nemesis.HasRoom(new Plain { Damages = true }, underWay, members));
        Assert.True(Nemesis.HasRoom(new Plain(), underWay, members));
    }

    [Fact]
    public void The_network_has_one_fault_at_a_time()
    {
        var network = new Plain { Cuts = true };

        Assert.True(Nemesis.HasRoom(network, [new Plain()], 3));
        Assert.False(Nemesis.HasRoom(network, [network], 3));
    }

    private sealed class Plain() : Fault(null!)
    {
        public bool Damages { get; init; }

        public bool Cuts { get; init; }

        public override bool IsOfNetwork => Cuts;

        public override bool NeedsMajority => Damages;

        public override bool TryChoose() => true;

        public override Task InjectAsync() => Task.CompletedTask;

        public override Task HealAsync() => Task.CompletedTask;
    }
}
