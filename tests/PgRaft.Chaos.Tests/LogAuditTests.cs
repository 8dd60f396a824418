// Each thing that can be wrong with a log, and what only looks wrong. Threading: none.

using System.Text.Json;
using PgRaft.Chaos.Checks;
using PgRaft.Histories;

namespace PgRaft.Chaos.Tests;

public sealed class LogAuditTests
{
    private readonly List<string> _wrong = [];
    private readonly LogAudit _audit;

    public LogAuditTests()
    {
        _audit = new LogAudit(_wrong.Add);
    }

    [Fact]
    public void What_was_acknowledged_and_is_there_is_right()
    {
        _audit.AppendEnded("a", Outcome.Ok, 1, 7);
        _audit.WriteEnded("b", Outcome.Ok);
        _audit.AppendEnded("c", Outcome.Unknown, 0, 7);
        _audit.AppendEnded("d", Outcome.Failed, 0, 7);
        Entry(1, 7, "a");
        Put(2, 7, "b");
        Entry(3, 7, "c");
        _audit.Verify();

        Assert.Empty(_wrong);
        Assert.Equal(2, _audit.Verified);
        Assert.Equal(3, _audit.Covered);
    }

    [Fact]
    public void A_swap_is_in_the_log_whether_or_not_it_held()
    {
        _audit.WriteEnded("a", Outcome.Ok);
        _audit.WriteEnded("b", Outcome.Failed);
        const string Key = "chaos/0/swapped/0/0";
        Observe(1, new { index = 1, term = 7, type = "kv_cas", key = Key, value = "a" });
        _audit.Verify();
        Assert.Empty(_wrong);
        Assert.Equal(1, _audit.Verified);

        Observe(2, new { index = 2, term = 7, type = "kv_cas", key = Key, value = "b" });
        Assert.Contains("reported as not done", Assert.Single(_wrong));
    }

    [Fact]
    public void A_lost_write_is_seen()
    {
        _audit.WriteEnded("a", Outcome.Ok);
        _audit.AppendEnded("b", Outcome.Ok, 1, 7);
        _audit.Verify();

        Assert.Equal(2, _wrong.Count);
        Assert.All(_wrong, w => Assert.EndsWith("was acknowledged and is not in the log", w));
    }

    [Fact]
    public void An_append_at_another_index_than_its_client_was_told_is_seen()
    {
        Entry(2, 7, "a");
        _audit.AppendEnded("a", Outcome.Ok, 1, 7);
        _audit.Verify();

        Assert.Contains("acknowledged at 1 and is at 2", Assert.Single(_wrong));
    }

    [Fact]
    public void An_append_that_passed_the_fence_of_another_term_is_seen()
    {
        Entry(1, 8, "a");
        _audit.AppendEnded("a", Outcome.Ok, 1, 7);
        _audit.Verify();

        Assert.Contains("asked for in term 7 and is in term 8", Assert.Single(_wrong));
    }

    [Fact]
    public void Two_entries_of_one_call_are_seen()
    {
        Entry(1, 7, "a");
        Entry(2, 7, "a");

        Assert.Contains("in the log twice: at 1 and 2", Assert.Single(_wrong));
    }

    [Fact]
    public void Copies_of_one_request_are_one()
    {
        Entry(1, 7, "a", request: "1/2/3");
        Entry(2, 7, "a", request: "1/2/3");
        Assert.Empty(_wrong);

        Entry(3, 7, "a", request: "1/2/4");
        Assert.Single(_wrong);
    }

    [Fact]
    public void Members_that_differ_at_an_index_are_seen()
    {
        Entry(1, 7, "a");
        Entry(1, 7, "a");
        Assert.Empty(_wrong);

        Entry(1, 7, "b");
        Assert.Contains("has another entry at index 1", Assert.Single(_wrong));
    }

    [Fact]
    public void What_was_reported_as_not_done_and_is_there_is_seen_in_either_order()
    {
        _audit.AppendEnded("a", Outcome.Failed, 0, 7);
        Entry(1, 7, "a");
        Entry(2, 7, "b");
        _audit.WriteEnded("b", Outcome.Failed);

        Assert.Equal(2, _wrong.Count);
        Assert.All(_wrong, w => Assert.Contains("reported as not done", w));
    }

    [Fact]
    public void What_all_members_have_compacted_is_counted_and_not_called_lost()
    {
        Entry(1, 7, "a");
        Entry(4, 7, "d");
        Assert.Equal(1, _audit.Covered);

        _audit.AllCompactedBefore(4);
        _audit.WriteEnded("b", Outcome.Ok);
        _audit.Verify();

        Assert.Equal(4, _audit.Covered);
        Assert.Equal(2, _audit.Unseen);
        Assert.Empty(_wrong);
    }

    [Fact]
    public void Entries_of_others_are_left_alone()
    {
        Observe(1, new { index = 1, term = 7, type = "opaque", data = "filler" });
        Observe(2, new { index = 2, term = 7, type = "opaque", data = "filler" });
        Observe(3, new { index = 3, term = 7, type = "kv_put", key = "k", value = "v" });
        Observe(4, new { index = 4, term = 7, type = "kv_put", key = "k", value = "v" });

        Assert.Empty(_wrong);
    }

    private void Entry(long index, long term, string value, string? request = null)
    {
        var data = $"{value}{LogAudit.ValueEnd}padding";
        if (request is null)
        {
            Observe(index, new { index, term, type = "opaque", data });
        }
        else
        {
            Observe(index, new { index, term, type = "opaque", data, request });
        }
    }

    private void Put(long index, long term, string value)
    {
        Observe(index, new { index, term, type = "kv_put", key = "chaos/0/0/0", value });
    }

    private void Observe(long index, object entry)
    {
        _audit.Observe("node 1", index, JsonSerializer.Serialize(entry));
    }
}
