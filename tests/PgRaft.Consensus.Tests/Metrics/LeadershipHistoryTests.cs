// Changes of role, term and leader, each once and with its cause.
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using Xunit;

namespace PgRaft.Consensus.Tests.Metrics;

public sealed class LeadershipHistoryTests
{
    private readonly NodeMeters _meters = new();
    private readonly LeadershipHistory _history;

    public LeadershipHistoryTests() => _history = new(TimeProvider.System, _meters);

    [Fact]
    public void WhatDoesNotChangeIsNotedOnce()
    {
        Note(NodeRole.Follower, 1, 2);
        Note(NodeRole.Follower, 1, 2);

        Assert.Equal(["the node started"], Causes());
        Assert.Equal(1, _meters.RoleChanges.Value);
    }

    [Fact]
    public void ALifeHasItsCauses()
    {
        Note(NodeRole.Follower, 1, 0);
        Note(NodeRole.Follower, 1, 2);
        Note(NodeRole.Follower, 1, 0);
        Note(NodeRole.Follower, 2, 0);
        Note(NodeRole.Candidate, 3, 0);
        Note(NodeRole.Candidate, 4, 0);
        Note(NodeRole.Follower, 4, 3);
        _history.Expect("the leader handed over to this node");
        Note(NodeRole.Candidate, 5, 0);
        Note(NodeRole.Leader, 5, 1);
        _history.Expect("the disk of this node stands still");
        Note(NodeRole.Follower, 5, 0);

        Assert.Equal(
            [
                "the node started",
                "node 2 leads",
                "no sign of life of node 2 within the election timeout",
                "another member stands for election",
                "heard of no leader within the election timeout",
                "an election without a winner: this node stands again",
                "node 3 won the election",
                "the leader handed over to this node",
                "this node won the election",
                "the disk of this node stands still",
            ],
            Causes());
    }

    // A candidate says why it stands at each change of its log, more often than it is noted.
    [Fact]
    public void WhyANodeStoodIsNotWhyItsLeadershipEnded()
    {
        Note(NodeRole.Candidate, 5, 0);
        _history.Expect("heard of no leader within the election timeout");
        Note(NodeRole.Leader, 5, 1);
        Note(NodeRole.Follower, 6, 0);
        Note(NodeRole.Candidate, 7, 0);
        Note(NodeRole.Leader, 7, 1);
        Note(NodeRole.Follower, 7, 0);

        string[] causes = Causes();
        Assert.Equal("another member began term 6", causes[2]);
        Assert.Equal("this node's leadership ended", causes[5]);
    }

    [Fact]
    public void TheLastHundredAreKept()
    {
        for (int term = 1; term <= 250; term++)
        {
            Note(NodeRole.Follower, term, 2);
        }

        var kept = _history.ToArray();
        Assert.Equal(LeadershipHistory.Capacity, kept.Length);
        Assert.Equal(151, kept[0].Term);
        Assert.Equal(250, kept[^1].Term);
        Assert.Equal(250, _meters.RoleChanges.Value);
    }

    private void Note(NodeRole role, long term, int leaderId) =>
        _history.Note(() => (role, term, leaderId));

    private string[] Causes() => [.. _history.ToArray().Select(c => c.Cause)];
}
