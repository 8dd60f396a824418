// Whether two leases at one time are seen, and nothing is seen that is none. Threading: none.

using PgRaft.Chaos.Checks;

namespace PgRaft.Chaos.Tests;

public sealed class LeaseCheckTests
{
    private readonly LeaseCheck _check = new();

    [Fact]
    public void Leases_one_after_the_other_are_right()
    {
        Held(node: 1, term: 1, 10, 11);
        Held(node: 2, term: 2, 20, 21);
        Held(node: 1, term: 3, 30, 31);

        Assert.Empty(_check.Check());
        Assert.Equal(3, _check.Elections);
    }

    [Fact]
    public void A_lease_that_outlives_its_successor_is_seen()
    {
        Held(node: 1, term: 1, 10, 11);
        Held(node: 2, term: 2, 20, 21);
        Held(node: 1, term: 1, 22, 23);

        Assert.Contains("node 1 in term 1 at 22", Assert.Single(_check.Check()));
    }

    [Fact]
    public void It_is_seen_across_two_checks_whichever_comes_first()
    {
        Held(node: 2, term: 2, 20, 21);
        Assert.Empty(_check.Check());
        Held(node: 1, term: 1, 22, 23);

        Assert.Single(_check.Check());
    }

    [Fact]
    public void An_answer_that_was_frozen_may_be_as_old_as_its_call()
    {
        Held(node: 2, term: 2, 20, 21);
        Held(node: 1, term: 1, 15, 90);

        Assert.Empty(_check.Check());
    }

    [Fact]
    public void The_earliest_end_of_a_lease_counts()
    {
        Held(node: 2, term: 2, 40, 41);
        Held(node: 2, term: 2, 20, 21);
        Held(node: 1, term: 1, 30, 31);

        Assert.Single(_check.Check());
    }

    [Fact]
    public void Two_leaders_of_one_term_are_seen()
    {
        Held(node: 1, term: 1, 10, 11);
        Held(node: 2, term: 1, 20, 21);

        Assert.Contains("term 1 has leaders 1 and 2", Assert.Single(_check.Check()));
    }

    [Fact]
    public void What_followers_take_for_the_leader_counts_too()
    {
        _check.Add(new LeaderSample(3, 10, 11, false, 1, 1));
        _check.Add(new LeaderSample(4, 10, 11, false, 1, 2));

        Assert.Single(_check.Check());
    }

    private void Held(int node, long term, long before, long after)
    {
        _check.Add(new LeaderSample(node, before, after, true, term, node));
    }
}
