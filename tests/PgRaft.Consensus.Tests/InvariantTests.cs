// Each invariant's check fires when it is broken, and not before.
using PgRaft.Consensus.Tests.Cluster;
using Xunit;

namespace PgRaft.Consensus.Tests;

public sealed class InvariantTests
{
    // Every test that stops a node looks.
    [Fact]
    public async Task ANodeThatFoundOneBrokenFailsItsTest()
    {
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        await node.StartAsync(TestCluster.Limit);
        node.Node.Fail(new InvariantViolatedException("any"));
        var failure = await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(node.StopAsync);
        Assert.Contains("broken invariant: any", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ElectionSafetyAllowsOneLeaderATerm()
    {
        Invariants.ElectionSafety(1, 5, 0);
        Invariants.ElectionSafety(1, 5, 1);
        Breaks("election safety", () => Invariants.ElectionSafety(1, 5, 2));
    }

    [Fact]
    public void ALeaderTakesNoEntriesFromOthersInItsTerm()
    {
        Invariants.LeaderAppendOnly(0, 5);
        Invariants.LeaderAppendOnly(4, 5);
        Breaks("leader append-only", () => Invariants.LeaderAppendOnly(5, 5));
        Breaks("leader append-only", () => Invariants.LeaderAppendOnly(6, 5));
    }

    [Fact]
    public void TermsNeverDecreaseWithTheIndex()
    {
        Invariants.TermsInOrder(7, 5, 5);
        Breaks("log matching", () => Invariants.TermsInOrder(7, 4, 5));
    }

    [Fact]
    public void AnAcceptedAppendMatchesWhatIsBeforeIt()
    {
        Invariants.LogMatching(7, 5, 5);
        Invariants.LogMatching(7, 5, -1);
        Breaks("log matching", () => Invariants.LogMatching(7, 5, 4));
        Breaks("log matching", () => Invariants.LogMatching(7, 5, 0));
    }

    [Fact]
    public void ACommittedEntryIsInEveryLaterLeadersLog()
    {
        Invariants.LeaderCompleteness(7, 5, 5);
        Invariants.LeaderCompleteness(7, -1, 5);
        Breaks("leader completeness", () => Invariants.LeaderCompleteness(7, 5, 6));
    }

    [Fact]
    public void EntriesAreAppliedInOrderAndOnlyWhenCommitted()
    {
        Invariants.StateMachineSafety(6, 7, 7);
        Breaks("state machine safety", () => Invariants.StateMachineSafety(6, 8, 9));
        Breaks("state machine safety", () => Invariants.StateMachineSafety(6, 6, 9));
        Breaks("state machine safety", () => Invariants.StateMachineSafety(6, 7, 6));
    }

    [Fact]
    public void TheCommitIndexNeverGoesBack()
    {
        Invariants.CommitMonotonic(6, 6);
        Breaks("commit monotonic", () => Invariants.CommitMonotonic(6, 5));
    }

    [Fact]
    public void OneVoteATermAndTermsNeverGoBack()
    {
        Invariants.OneVotePerTerm(5, 1, 5, 1);
        Invariants.OneVotePerTerm(5, 0, 5, 1);
        Invariants.OneVotePerTerm(5, 1, 6, 2);
        Breaks("one vote per term", () => Invariants.OneVotePerTerm(5, 1, 5, 2));
        Breaks("one vote per term", () => Invariants.OneVotePerTerm(5, 1, 5, 0));
        Breaks("one vote per term", () => Invariants.OneVotePerTerm(5, 0, 4, 0));
    }

    [Fact]
    public void OnlyWhatIsOnDiskCounts()
    {
        Invariants.DurabilityBeforeAcknowledgement(6, 6);
        Breaks(
            "durability before acknowledgement",
            () => Invariants.DurabilityBeforeAcknowledgement(7, 6));
    }

    [Fact]
    public void WhoHoldsTheLeaseGivesNoVote()
    {
        Invariants.LeaseExclusivity(true, false, 5);
        Invariants.LeaseExclusivity(false, true, 5);
        Breaks("lease exclusivity", () => Invariants.LeaseExclusivity(true, true, 5));
    }

    [Fact]
    public void NobodyIsLetThroughWhileThereIsALease()
    {
        Invariants.LeaseBeforeConsent(5, 5, 0);
        Breaks("lease before consent", () => Invariants.LeaseBeforeConsent(5, 5, 1));
        Breaks("lease before consent", () => Invariants.LeaseBeforeConsent(5, 4, 0));
    }

    private static void Breaks(string name, Action check)
    {
        var broken = Assert.Throws<InvariantViolatedException>(check);
        Assert.StartsWith($"broken invariant: {name}: ", broken.Message, StringComparison.Ordinal);
    }
}
