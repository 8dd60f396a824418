// Histories whose verdict is known: one for each way a register can be wrong, and its lawful twin.
using PgRaft.Histories;
using Xunit;

namespace PgRaft.Consensus.Tests.Linearizability;

public class RegisterCheckerTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public void Nothing_is_linearizable() => Passes();

    [Fact]
    public void One_after_another_reads_see_the_last_write() =>
        Passes(Get(null, 0, 1), Put("a", 2, 3), Get("a", 4, 5), Put("b", 6, 7), Get("b", 8, 9));

    [Fact]
    public void A_stale_read_is_a_violation_shown_without_what_has_no_part_in_it()
    {
        string explanation = Fails(
            Put("x", 0, 1), Get("x", 2, 3), Put("a", 4, 5), Put("b", 6, 7), Get("a", 8, 9),
            Put("c", 10, 11), Get("c", 12, 13));
        Assert.Equal(
            """
            key 'k': no order fits their times and values (3 of 7 operations, 4 .. 9 ns):
              4 .. 5 ns process 1 put 'a'
              6 .. 7 ns process 1 put 'b'
              8 .. 9 ns process 1 get 'a'
            """,
            explanation);
    }

    [Fact]
    public void A_read_during_the_write_may_see_either()
    {
        Passes(Put("a", 0, 1), Put("b", 2, 9), Get("a", 3, 4));
        Passes(Put("a", 0, 1), Put("b", 2, 9), Get("b", 3, 4));
    }

    [Fact]
    public void Reads_that_go_back_are_a_violation()
    {
        Fails(Put("a", 0, 1), Put("b", 2, 9), Get("b", 3, 4), Get("a", 5, 6));
        Passes(Put("a", 0, 1), Put("b", 2, 9), Get("b", 3, 5), Get("a", 4, 6));
    }

    [Fact]
    public void Two_readers_that_see_two_writes_in_different_orders_are_a_violation() =>
        Fails(
            Put("a", 0, 100), Put("b", 0, 100),
            Get("a", 10, 20), Get("b", 30, 40), Get("a", 50, 60));

    [Fact]
    public void A_lost_update_is_a_violation()
    {
        Fails(Put("a", 0, 1), Get(null, 2, 3));
        Fails(Put("a", 0, 1), Get("a", 2, 3), Get(null, 4, 5));
        Passes(Put("a", 0, 3), Get(null, 2, 3));
    }

    [Fact]
    public void A_value_never_written_is_a_violation_and_named() =>
        Assert.Contains("'ghost' was read but never written", Fails(
            Put("a", 0, 1), Get("ghost", 2, 3)), StringComparison.Ordinal);

    [Fact]
    public void A_value_read_before_its_write_is_a_violation_and_named() =>
        Assert.Contains("'a' was read before it was written", Fails(
            Get("a", 0, 1), Put("a", 2, 3), Get("a", 4, 5)), StringComparison.Ordinal);

    [Fact]
    public void A_failed_put_that_is_read_is_a_violation_and_named()
    {
        Operation failed = Put("b", 2, 3, Outcome.Failed);
        string explanation = Fails(Put("a", 0, 1), failed, Get("b", 4, 5));
        Assert.Contains(
            "'b' was read but its write failed", explanation, StringComparison.Ordinal);
        Passes(Put("a", 0, 1), failed, Get("a", 4, 5));
    }

    [Fact]
    public void An_unknown_put_may_show_at_any_time_after_its_call_or_never()
    {
        var unknown = Put("u", 2, 3, Outcome.Unknown);
        Passes(Put("a", 0, 1), unknown, Get("u", 4, 5));
        Passes(Put("a", 0, 1), unknown, Get("a", 4, 5), Get("a", 6, 7));
        Passes(Put("a", 0, 1), unknown, Get("a", 4, 5), Put("b", 6, 7), Get("u", 8, 9));
    }

    [Fact]
    public void An_unknown_put_shows_not_before_its_call_and_not_twice()
    {
        var unknown = Put("u", 4, 5, Outcome.Unknown);
        Fails(Put("a", 0, 1), Get("u", 2, 3), unknown);
        string explanation = Fails(
            unknown, Get("u", 6, 7), Put("a", 8, 9), Get("a", 10, 11), Get("u", 12, 13));
        Assert.Contains("4 .. ? ns process 1 put 'u'", explanation, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_puts_of_one_value_show_as_often_as_there_are_of_them()
    {
        Operation[] ops =
        [
            Put("u", 0, 1, Outcome.Unknown), Get("u", 2, 3), Put("a", 4, 5), Get("a", 6, 7),
            Get("u", 8, 9),
        ];
        Fails(ops);
        Passes([.. ops, Put("u", 0, 1, Outcome.Unknown)]);
    }

    [Theory]
    [InlineData(Outcome.Failed)]
    [InlineData(Outcome.Unknown)]
    internal void Reads_without_an_answer_tell_nothing(Outcome outcome) =>
        Passes(Put("a", 0, 1), Get("ghost", 2, 3) with { Outcome = outcome });

    [Fact]
    public void A_put_of_null_makes_the_key_absent()
    {
        Passes(Put("a", 0, 1), Put(null, 2, 3), Get(null, 4, 5));
        Fails(Put("a", 0, 1), Put(null, 2, 3), Get("a", 4, 5));
    }

    [Fact]
    public void Equal_times_overlap()
    {
        Passes(Put("a", 0, 2), Get(null, 2, 3));
        Fails(Put("a", 0, 1), Get(null, 2, 3));
    }

    [Fact]
    public void Keys_are_registers_of_their_own_and_the_guilty_one_is_named()
    {
        Operation[] good = [Put("a", 0, 1), Get("a", 2, 3), Get("a", 4, 5)];
        Operation[] other = [Put("b", 0, 1), Get("b", 2, 3), Get("b", 4, 5)];
        Passes([.. good, .. other.Select(o => o with { Key = "other" })]);
        CheckResult result = RegisterChecker.Check(
            [.. good, Put("b", 0, 1) with { Key = "bad" }, Get(null, 2, 3) with { Key = "bad" }],
            Limit);
        Assert.Equal("bad", Assert.IsType<CheckResult.Violation>(result).Key);
    }

    [Fact]
    public void The_same_operations_in_another_order_may_leave_another_value() =>
        Passes(
            Put("a", 0, 10), Put("b", 1, 10), Get("b", 1, 10), Get("a", 11, 12), Put("a", 13, 14));

    [Fact]
    public void The_smallest_register_is_checked_first()
    {
        Operation[] ops = [Put("a", 0, 1), Get("a", 2, 3), Put("a", 0, 1) with { Key = "small" }];
        Assert.Equal(
            new CheckResult.TimedOut("small"), RegisterChecker.Check(ops, TimeSpan.Zero));
    }

    [Fact]
    public void Out_of_time_is_neither_verdict() =>
        Assert.Equal(
            new CheckResult.TimedOut("k"),
            RegisterChecker.Check([Put("a", 0, 1), Get(null, 2, 3)], TimeSpan.Zero));

    [Fact]
    public void A_return_before_its_call_and_a_negative_limit_are_refused()
    {
        Assert.Throws<ArgumentException>(() => RegisterChecker.Check([Put("a", 2, 1)], Limit));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => RegisterChecker.Check([], Timeout.InfiniteTimeSpan));
    }

    private static Operation Put(
        string? value, long call, long end, Outcome outcome = Outcome.Ok) =>
        new(1, OperationKind.Put, "k", value, call, end, outcome);

    private static Operation Get(string? value, long call, long end) =>
        new(1, OperationKind.Get, "k", value, call, end, Outcome.Ok);

    // The order of recording must not matter.
    private static void Passes(params Operation[] ops)
    {
        Assert.Equal(new CheckResult.Linearizable(), RegisterChecker.Check(ops, Limit));
        Assert.Equal(
            new CheckResult.Linearizable(), RegisterChecker.Check([.. ops.Reverse()], Limit));
    }

    private static string Fails(params Operation[] ops)
    {
        Assert.IsType<CheckResult.Violation>(RegisterChecker.Check([.. ops.Reverse()], Limit));
        return Assert.IsType<CheckResult.Violation>(RegisterChecker.Check(ops, Limit)).Explanation;
    }
}
