// The command line, and what the program decides by itself. Threading: none.

using PgRaft.Chaos.Network;
using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Tests;

public sealed class ChaosOptionsTests
{
    [Fact]
    public void Options_are_read_and_repeated()
    {
        var options = ChaosOptions.Parse(
            ["--seconds", "90", "--seed", "7", "--nodes", "5", "--faults", "kill-all,disk-full"]);

        Assert.Equal(90, options.Seconds);
        Assert.False(options.KeepHistory);
        Assert.Equal(["kill-all", "disk-full"], options.Faults);
        Assert.Equal(
            "make chaos SECONDS=90 SEED=7 NODES=5 OPTIONS='--faults kill-all,disk-full'",
            options.Replay);
    }

    [Fact]
    public void Options_without_a_value_are_read()
    {
        var options = ChaosOptions.Parse(
            ["--keep-history", "--seed", "7", "--blind-swaps", "--stale-reads"]);

        Assert.True(options.KeepHistory && options.BlindSwaps && options.StaleReads);
        Assert.Equal(
            "make chaos SECONDS=60 SEED=7 NODES=3 OPTIONS='--stale-reads --blind-swaps'",
            options.Replay);
    }

    [Theory]
    [InlineData("--sekonds", "1")]
    [InlineData("--seconds", "0")]
    [InlineData("--seconds", "many")]
    [InlineData("--nodes", "2")]
    [InlineData("--faults", "kill-nobody")]
    [InlineData("--faults", "")]
    public void Wrong_options_are_refused(string name, string value)
    {
        Assert.Throws<ArgumentException>(() => ChaosOptions.Parse([name, value]));
    }

    [Fact]
    public void An_option_without_its_value_is_refused()
    {
        Assert.Throws<ArgumentException>(() => ChaosOptions.Parse(["--seed"]));
    }

    [Fact]
    public void A_majority_is_healthy_when_its_members_reach_each_other_both_ways()
    {
        int[] all = [0, 1, 2, 3, 4];
        Link[] oneWay = [new(0, 1)];
        Link[] halves = [new(0, 2), new(0, 3), new(1, 2), new(1, 3)];

        Assert.Equal(5, ChaosCluster.LargestClique(all, []));
        Assert.Equal(4, ChaosCluster.LargestClique(all, oneWay));
        Assert.Equal(3, ChaosCluster.LargestClique(all, halves));
        Assert.Equal(2, ChaosCluster.LargestClique([0, 1, 2, 3], halves));
        Assert.Equal(0, ChaosCluster.LargestClique([], []));
    }
}
