// The rules of the state machine, one by one; KvModelTests checks them in combination.
using PgRaft.Core.Commands;

using Xunit;

namespace PgRaft.Core.Tests;

public class StateMachineTests
{
    private readonly StateMachine _machine = new();

    [Fact]
    public void Put_takes_a_revision_and_counts_versions()
    {
        var first = _machine.Put("k", "one");
        var second = _machine.Put("k", "two");
        Assert.Equal((StatusCode.Ok, 1L, false), (first.Status, first.Revision, first.Existed));
        Assert.Equal((StatusCode.Ok, 2L, true), (second.Status, second.Revision, second.Existed));
        Assert.True(_machine.Kv.TryGet("k"u8, out var entry));
        Assert.Equal("two", Machines.Text(entry.Value));
        Assert.Equal("k", Machines.Text(entry.Key));
        Assert.Equal(
            (1L, 2L, 2L, 0L),
            (entry.CreateRevision, entry.ModRevision, entry.Version, entry.LeaseId));
    }

    [Fact]
    public void Delete_takes_a_revision_only_if_the_key_was_alive()
    {
        var absent = _machine.Delete("k");
        _machine.Put("k", "v");
        var present = _machine.Delete("k");
        var again = _machine.Delete("k");
        Assert.Equal((0L, false), (absent.Revision, absent.Existed));
        Assert.Equal((2L, true), (present.Revision, present.Existed));
        Assert.Equal((2L, false), (again.Revision, again.Existed));
        Assert.False(_machine.Kv.Contains("k"u8));
        Assert.Equal(1, _machine.Kv.Stats.Deletes);
        Assert.Equal(4, _machine.AppliedIndex);
    }

    [Fact]
    public void A_key_put_after_its_delete_begins_anew()
    {
        _machine.Put("k", "old");
        _machine.Delete("k");
        var result = _machine.Put("k", "new");
        Assert.False(result.Existed);
        Assert.True(_machine.Kv.TryGet("k"u8, out var entry));
        Assert.Equal((3L, 1L), (entry.CreateRevision, entry.Version));
    }

    [Fact]
    public void Reads_at_a_revision_see_that_revision()
    {
        _machine.Put("a", "1");
        _machine.Put("a", "2");
        _machine.Delete("a");
        _machine.Put("b", "3");
        var kv = _machine.Kv;
        Assert.Equal("1", kv.Get("a", 1));
        Assert.Equal("2", kv.Get("a", 2));
        Assert.Null(kv.Get("a", 3));
        Assert.Equal("a", kv.Keys(atRevision: 2));
        Assert.Equal("", kv.Keys(atRevision: 3));
        Assert.Equal("b", kv.Keys(atRevision: 4));
    }

    [Fact]
    public void Lists_by_prefix_in_byte_order()
    {
        foreach (string key in new[] { "b", "a/2", "a", "a/10", "é", "a/1", "B", "a0" })
            _machine.Put(key, "v");
        Assert.Equal("B a a/1 a/10 a/2 a0 b é", _machine.Kv.Keys());
        Assert.Equal("a/1 a/10 a/2", _machine.Kv.Keys("a/"));
        Assert.Equal("", _machine.Kv.Keys("c"));
    }

    [Fact]
    public void Counts_keys_and_bytes()
    {
        _machine.Put("key", "12345");
        _machine.Put("key", "1");
        _machine.Put("other", "22");
        _machine.Put("gone", "333");
        _machine.Delete("gone");
        var stats = _machine.Kv.Stats;
        Assert.Equal((2L, 11L), (stats.TotalKeys, stats.TotalBytes));
        Assert.Equal((4L, 1L, 5L), (stats.Puts, stats.Deletes, stats.Revision));
    }

    [Fact]
    public void Copies_what_it_keeps()
    {
        byte[] command = CommandEncoder.KvPut("key"u8, "value"u8);
        _machine.Next(command);
        Array.Clear(command);
        Assert.Equal("value", _machine.Kv.Get("key"));
    }

    [Theory]
    [InlineData("00")]
    [InlineData("0163")]
    [InlineData("01030100")]
    public void A_malformed_command_only_advances_the_applied_index(string hex)
    {
        _machine.Put("k", "v");
        string hash = _machine.Hash();
        var result = _machine.Next(Convert.FromHexString(hex));
        Assert.Equal((StatusCode.BadArgument, 1L), (result.Status, result.Revision));
        Assert.Equal(2, _machine.AppliedIndex);
        Assert.Equal(hash, _machine.Hash());
    }

    [Fact]
    public void A_put_with_a_lease_changes_nothing()
    {
        var result = _machine.Next(CommandEncoder.KvPut("k"u8, "v"u8, leaseId: 1));
        Assert.Equal(StatusCode.BadArgument, result.Status);
        Assert.False(_machine.Kv.Contains("k"u8));
        Assert.Equal(0, _machine.Kv.Revision);
    }

    [Fact]
    public void Entries_without_effect_advance_index_and_term()
    {
        Assert.Equal(StatusCode.Ok, _machine.Apply(1, 1, []).Status);
        _machine.Skip(2, 3);
        Assert.Equal(StatusCode.Ok, _machine.Apply(3, 4, CommandEncoder.Opaque("x"u8)).Status);
        var image = _machine.Capture();
        Assert.Equal((3L, 4L, 0L), (image.AppliedIndex, image.AppliedTerm, image.Kv.Revision));
    }

    [Theory]
    [InlineData(0, 5)]
    [InlineData(2, 5)]
    [InlineData(4, 5)]
    [InlineData(3, 4)]
    public void An_entry_that_does_not_follow_is_a_broken_invariant(long index, long term)
    {
        _machine.Skip(1, 1);
        _machine.Skip(2, 5);
        byte[] put = CommandEncoder.KvPut("k"u8, "v"u8);
        Assert.Throws<InvalidOperationException>(() => _machine.Apply(index, term, put));
        Assert.Throws<InvalidOperationException>(() => _machine.Skip(index, term));
        Assert.Equal(2, _machine.AppliedIndex);
        Assert.False(_machine.Kv.Contains("k"u8));
    }

    [Fact]
    public void Compaction_forgets_what_no_later_read_can_see()
    {
        _machine.Put("a", "1");
        _machine.Put("a", "2");
        _machine.Put("gone", "3");
        _machine.Delete("gone");
        _machine.Put("a", "5");
        var before = _machine.Kv;
        Assert.Equal(StatusCode.Ok, _machine.Compact(4).Status);
        var kv = _machine.Kv;
        Assert.Equal(4, kv.CompactedRevision);
        Assert.Equal(2, kv.Versions("a"));
        Assert.Equal(0, kv.Versions("gone"));
        Assert.Equal(("2", "5"), (kv.Get("a", 4), kv.Get("a", 5)));
        Assert.Equal("1", before.Get("a", 1));
    }

    [Fact]
    public void Compaction_looks_at_each_key_once_and_then_no_more()
    {
        for (int i = 0; i < 10; i++)
            _machine.Put("often", "v");
        _machine.Put("once", "v");
        _machine.Put("later", "v");
        _machine.Put("later", "v");
        byte[] key = Assert.Single(_machine.Superseded.KeysUpTo(11));
        Assert.Equal("often"u8, key);
        _machine.Compact(11);
        Assert.Equal(1, _machine.Superseded.Count);
    }

    [Fact]
    public void Compaction_of_the_future_is_refused_and_of_the_past_is_done_already()
    {
        _machine.Put("a", "1");
        _machine.Put("a", "2");
        Assert.Equal(StatusCode.BadArgument, _machine.Compact(3).Status);
        Assert.Equal(0, _machine.Kv.CompactedRevision);
        Assert.Equal(StatusCode.Ok, _machine.Compact(2).Status);
        Assert.Equal(StatusCode.Ok, _machine.Compact(1).Status);
        Assert.Equal(2, _machine.Kv.CompactedRevision);
    }

    [Theory]
    [InlineData(-1, "must not be negative")]
    [InlineData(1, "has been compacted")]
    [InlineData(4, "does not exist yet")]
    public void Reads_outside_the_history_say_so(long revision, string why)
    {
        _machine.Put("a", "1");
        _machine.Put("a", "2");
        _machine.Put("a", "3");
        _machine.Compact(2);
        var kv = _machine.Kv;
        var get = Assert.Throws<PgraftException>(() => kv.TryGet("a"u8, revision, out _));
        var list = Assert.Throws<PgraftException>(() => kv.List(default, revision));
        Assert.Equal((StatusCode.BadArgument, get.Message), (list.Code, list.Message));
        Assert.Contains(why, get.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Restore_replaces_the_state()
    {
        var other = new StateMachine();
        other.Put("there", "1");
        other.Put("there", "2");
        _machine.Put("here", "1");
        _machine.Restore(other.Capture());
        Assert.Equal("there", _machine.Kv.Keys());
        Assert.Equal(2, _machine.AppliedIndex);
        _machine.Compact(2);
        Assert.Equal(1, _machine.Kv.Versions("there"));
    }

    [Fact]
    public void Restore_never_goes_back()
    {
        var old = _machine.Capture();
        _machine.Put("k", "v");
        Assert.Throws<InvalidOperationException>(() => _machine.Restore(old));
        Assert.Equal("v", _machine.Kv.Get("k"));
        Assert.Throws<ArgumentNullException>(() => _machine.Restore(null!));
    }

    [Fact]
    public void An_image_outlives_what_comes_after_it()
    {
        _machine.Put("k", "before");
        var image = _machine.Capture();
        string hash = _machine.Hash();
        _machine.Put("k", "after");
        _machine.Delete("k");
        _machine.Compact(3);
        Assert.Equal("before", image.Kv.Get("k"));
        var copy = new StateMachine();
        copy.Restore(image);
        Assert.Equal(hash, copy.Hash());
    }
}
