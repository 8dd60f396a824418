// Each invariant across members fires when what is seen breaks it, and not before.
using System.Text;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

public sealed class ClusterInvariantTests
{
    private readonly ClusterInvariants _invariants = new();

    [Fact]
    public void OneLeaderATerm()
    {
        _invariants.Leads(1, 5);
        _invariants.Leads(1, 5);
        _invariants.Leads(2, 6);
        Holds();
        _invariants.Leads(2, 5);
        Breaks("election safety: nodes 1 and 2 both led term 5");
    }

    [Fact]
    public void OneVoteATermAndTermsThatNeverGoBack()
    {
        _invariants.HasVoted(1, 5, 2);
        _invariants.HasVoted(1, 5, 0);
        _invariants.HasVoted(1, 6, 3);
        _invariants.HasVoted(2, 5, 3);
        _invariants.IsInTerm(1, 5);
        _invariants.IsInTerm(1, 6);
        _invariants.IsInTerm(2, 5);
        Holds();
        _invariants.HasVoted(1, 5, 3);
        Breaks("one vote per term: node 1 voted for 2 and 3 in term 5");
        _invariants.IsInTerm(1, 5);
        Breaks("one vote per term: node 1 went from term 6 back to 5");
    }

    [Fact]
    public void NeitherTermNorVoteIsLostWithThePower()
    {
        _invariants.Remembers(1, (5, 2), (5, 2));
        _invariants.Remembers(1, (5, 0), (5, 3));
        _invariants.Remembers(1, (5, 2), (6, 0));
        Holds();
        _invariants.Remembers(1, (5, 2), (5, 0));
        Breaks("one vote per term: node 1 lost power after it had voted for 2 in term 5");
        _invariants.Remembers(1, (5, 0), (4, 1));
        Breaks("one vote per term: node 1 lost power after it had voted for 0 in term 5");
    }

    [Fact]
    public void OneEntryAnIndexAndTerm()
    {
        _invariants.HasEntry(1, Entry(7, 5, "a"));
        _invariants.HasEntry(2, Entry(7, 5, "a"));
        _invariants.HasEntry(3, Entry(7, 6, "b"));
        Holds();
        _invariants.HasEntry(3, Entry(7, 5, "b"));
        Breaks("log matching: node 3 has another entry 7 of term 5");
    }

    [Theory]
    [InlineData(6, "a")]
    [InlineData(5, "b")]
    public void OneCommittedEntryAnIndex(long term, string payload)
    {
        _invariants.HasCommitted(1, Entry(7, 5, "a"), 5);
        _invariants.HasCommitted(2, Entry(7, 5, "a"), 8);
        Holds();
        _invariants.HasCommitted(2, Entry(7, term, payload), 8);
        Breaks("state machine safety: entry 7 is committed");
    }

    [Fact]
    public void WhatIsCommittedIsInEveryLaterLeadersLog()
    {
        _invariants.HasCommitted(1, Entry(7, 5, "a"), 8);
        _invariants.HasCommitted(2, Entry(7, 5, "a"), 6);
        _invariants.LeadsWithLog(2, 6, 1, _ => -1);
        _invariants.LeadsWithLog(2, 7, 8, _ => -1);
        _invariants.LeadsWithLog(2, 7, 1, _ => 5);
        Holds();
        _invariants.LeadsWithLog(2, 7, 1, _ => 4);
        Breaks("leader completeness: node 2 leads term 7 with term 4 at entry 7");
    }

    [Fact]
    public void EqualStatesAtEqualIndexes()
    {
        _invariants.HasState(1, 7, "x");
        _invariants.HasState(2, 7, "x");
        _invariants.HasState(2, 8, "y");
        Holds();
        _invariants.HasState(1, 8, "x");
        Breaks("state machine safety: nodes 2 and 1 have different states at index 8");
    }

    [Fact]
    public void TheCommitIndexNeverGoesBack()
    {
        _invariants.CommitMoved(1, 7, 7);
        Holds();
        _invariants.CommitMoved(1, 7, 6);
        Breaks("commit monotonic: node 1 went from 7 back to 6");
    }

    [Fact]
    public void OneLeaseAtATime()
    {
        _invariants.HoldsLease(1, 5, 1_000_000, 2_000_000);
        _invariants.HoldsLease(1, 5, 1_500_000, 2_500_000);
        _invariants.HoldsLease(1, 6, 2_000_000, 2_600_000);
        _invariants.HoldsLease(2, 7, 2_600_000, 3_000_000);
        Holds();
        _invariants.HoldsLease(3, 8, 2_999_000, 4_000_000);
        Breaks("lease exclusivity: node 3 held the lease in term 8 1 us before that of node 2");
    }

    [Fact]
    public void ALeaseThatWasGivenUpIsInNobodysWay()
    {
        bool isGivenUp = false;
        _invariants.HoldsLease(1, 5, 1_000_000, 9_000_000, () => isGivenUp);
        isGivenUp = true;
        _invariants.HoldsLease(2, 6, 1_100_000, 9_000_000);
        Holds();
        _invariants.HoldsLease(3, 7, 1_200_000, 9_000_000);
        Breaks("lease exclusivity: node 3 held the lease in term 7 7800 us before that of node 2");
    }

    private static SeenEntry Entry(long index, long term, string payload) =>
        new(index, term, Encoding.UTF8.GetBytes(payload));

    private void Holds() => Assert.Empty(_invariants.Violations);

    private void Breaks(string how) =>
        Assert.StartsWith(how, _invariants.Violations[^1], StringComparison.Ordinal);
}
