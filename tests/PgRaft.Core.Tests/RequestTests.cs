// A request takes effect once, however often its command is in the log, and is answered with what
// came of it the first time; what is forgotten is never applied again.
using PgRaft.Core.Commands;
using PgRaft.Core.Requests;

using Xunit;

namespace PgRaft.Core.Tests;

public class RequestTests
{
    private StateMachine _machine = new();

    [Fact]
    public void A_second_copy_is_answered_with_the_first_result()
    {
        _machine.Put("k", "before");
        var first = _machine.Next(Put("k", "once", Id(1)));
        _machine.Put("k", "after");
        var second = _machine.Next(Put("k", "once", Id(1)));
        Assert.Equal((StatusCode.Ok, 2L, 2L, true),
            (first.Status, first.Revision, first.Index, first.Existed));
        Assert.Equal(first, second);
        Assert.Equal("after", _machine.Kv.Get("k"));
        Assert.Equal((3L, 4L), (_machine.Kv.Revision, _machine.AppliedIndex));
    }

    [Fact]
    public void A_compare_and_set_that_succeeded_still_has_when_repeated()
    {
        var created = _machine.Next(Cas("k", 0, "1", Id(1)));
        Assert.True(created is { Matched: true, Revision: 1, Existed: false });
        Assert.Equal(created, _machine.Next(Cas("k", 0, "1", Id(1))));
        var changed = _machine.Next(Cas("k", 1, "2", Id(2)));
        Assert.True(changed is { Matched: true, Revision: 2, Existed: true });
        Assert.Equal(changed, _machine.Next(Cas("k", 1, "2", Id(2))));
        Assert.Equal("2", _machine.Kv.Get("k"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void A_compare_and_set_with_another_revision_changes_nothing(long expected)
    {
        _machine.Put("k", "1");
        _machine.Put("k", "2");
        var result = _machine.Next(Cas("k", expected, "3", Id(1)));
        Assert.True(result is { Status: StatusCode.Ok, Matched: false, Revision: 2 });
        Assert.Equal("2", _machine.Kv.Get("k"));

        // Once it has failed it has failed, even if it would succeed now.
        _machine.Delete("k");
        Assert.Equal(result, _machine.Next(Cas("k", expected, "3", Id(1))));
        Assert.Null(_machine.Kv.Get("k"));
    }

    [Fact]
    public void A_deleted_key_has_to_be_expected_as_absent()
    {
        _machine.Put("k", "1");
        _machine.Delete("k");
        Assert.False(_machine.Next(Cas("k", 2, "x", Id(1))).Matched);
        var created = _machine.Next(Cas("k", 0, "x", Id(2)));
        Assert.True(created is { Matched: true, Existed: false, Revision: 3 });
    }

    [Fact]
    public void A_command_of_another_term_has_no_effect_and_never_will()
    {
        byte[] command = CommandEncoder.Opaque("x"u8, expectedTerm: 2, Id(1));
        Assert.Equal(StatusCode.Ok, _machine.Apply(1, 2, command).Status);
        Assert.Equal(
            (StatusCode.Ok, 1L),
            (_machine.Apply(2, 3, command).Status, _machine.Apply(3, 3, command).Index));
        byte[] late = CommandEncoder.Opaque("x"u8, expectedTerm: 2, Id(2));
        var refused = _machine.Apply(4, 3, late);
        Assert.Equal((StatusCode.NotDone, 4L), (refused.Status, refused.Index));
    }

    [Fact]
    public void A_refusal_is_remembered_too()
    {
        byte[] command = CommandEncoder.KvCompact(1, Id(1));
        Assert.Equal(StatusCode.BadArgument, _machine.Next(command).Status);
        _machine.Put("k", "v");
        Assert.Equal(StatusCode.BadArgument, _machine.Next(command).Status);
        Assert.Equal(0, _machine.Kv.CompactedRevision);
    }

    [Fact]
    public void A_request_its_slot_has_left_behind_is_refused()
    {
        _machine.Next(Put("k", "new", Id(2)));
        var late = _machine.Next(Put("k", "old", Id(1)));
        Assert.Equal((StatusCode.NotFound, 1L), (late.Status, late.Revision));
        Assert.Equal("new", _machine.Kv.Get("k"));
        Assert.Equal(StatusCode.Ok, _machine.Next(Put("k", "beside", Id(1, slot: 1))).Status);
        Assert.Equal(StatusCode.Ok, _machine.Next(Put("k", "other", Id(1, session: 8))).Status);
    }

    [Fact]
    public void A_refused_copy_leaves_the_slot_as_it_was()
    {
        var newer = _machine.Next(Put("k", "new", Id(2)));
        _machine.Next(Put("k", "old", Id(1)));
        Assert.Equal(newer, _machine.Next(Put("k", "new", Id(2))));
    }

    [Fact]
    public void Results_can_be_looked_up()
    {
        var result = _machine.Next(Put("k", "v", Id(2)));
        Assert.True(_machine.TryFindResult(Id(2), out var found));
        Assert.Equal(result, found);
        RequestId[] others =
            [default, Id(1), Id(3), Id(2, slot: 1), Id(2, slot: 4095), Id(2, session: 9)];
        foreach (var id in others)
        {
            Assert.False(_machine.TryFindResult(id, out found));
            Assert.Equal(default, found);
        }
    }

    [Fact]
    public void Commands_without_an_id_are_applied_each_time()
    {
        _machine.Next(Put("k", "v", default));
        _machine.Next(Put("k", "v", default));
        Assert.Equal(2, _machine.Kv.Revision);
        Assert.Empty(_machine.Capture().Requests.Sessions);
    }

    [Fact]
    public void The_session_that_applied_nothing_for_longest_is_forgotten()
    {
        Fill();
        _machine.Next(Put("k", "again", Id(2, session: 1)));
        long forgotten = 2; // the index of session 2's only request
        _machine.Next(Put("k", "one more", Id(1, session: 1000, baseIndex: 5)));
        var table = _machine.Capture().Requests;
        Assert.Equal((Limits.MaxSessions, forgotten), (table.Count, table.ForgottenIndex));
        Assert.DoesNotContain(table.Sessions, s => s.Id == 2);
        Assert.Contains(table.Sessions, s => s.Id == 1);
    }

    [Fact]
    public void A_copy_of_a_forgotten_session_s_request_is_refused()
    {
        Fill();
        _machine.Next(Put("k", "one more", Id(1, session: 1000)));
        string hash = _machine.Hash();
        foreach (long sequence in new[] { 1L, 2 })
        {
            var late = _machine.Next(Put("k", "late", Id(sequence, session: 1)));
            Assert.Equal(StatusCode.NotFound, late.Status);
        }

        Assert.Equal(hash, _machine.Hash());
    }

    [Fact]
    public void A_forgotten_session_goes_on_with_requests_from_after_that()
    {
        Fill();
        _machine.Next(Put("k", "one more", Id(1, session: 1000)));
        var id = Id(2, session: 1, baseIndex: 1);
        var result = _machine.Next(Put("k", "new", id));
        Assert.Equal(StatusCode.Ok, result.Status);
        Assert.Equal(result, _machine.Next(Put("k", "new", id)));
    }

    [Fact]
    public void A_session_that_came_back_has_forgotten_its_other_slots()
    {
        var late = Id(1, slot: 1, session: 1);
        _machine.Next(Put("k", "once", late));
        Fill();
        _machine.Next(Put("k", "one more", Id(1, session: 1000)));
        long now = _machine.AppliedIndex;
        _machine.Next(Put("k", "back", Id(2, session: 1, baseIndex: now)));
        Assert.Equal(StatusCode.NotFound, _machine.Next(Put("k", "once", late)).Status);
        var next = Id(2, slot: 1, session: 1, baseIndex: now);
        Assert.Equal(StatusCode.Ok, _machine.Next(Put("k", "next", next)).Status);
    }

    [Fact]
    public void A_snapshot_keeps_what_came_of_requests()
    {
        Fill();
        _machine.Next(Put("k", "one more", Id(1, session: 1000)));
        byte[] command =
            Cas("new", 0, "v", Id(7, session: 1000, slot: 4095, baseIndex: 1));
        var result = _machine.Next(command);
        _machine = Machines.Restored(_machine.Snapshot());
        Assert.True(result.Matched);
        Assert.Equal(result, _machine.Next(command));
        var late = _machine.Next(Put("k", "late", Id(1, session: 1)));
        Assert.Equal(StatusCode.NotFound, late.Status);
    }

    [Fact]
    public void An_image_is_not_changed_by_what_is_applied_later()
    {
        _machine.Next(Put("k", "v", Id(1)));
        var image = _machine.Capture();
        var restored = new StateMachine();
        restored.Restore(image);
        string hash = _machine.Hash();
        _machine.Next(Put("k", "w", Id(2)));
        restored.Next(Put("k", "x", Id(2)));
        var again = new StateMachine();
        again.Restore(image);
        Assert.Equal(hash, again.Hash());
    }

    private void Fill()
    {
        for (int session = 1; session <= Limits.MaxSessions; session++)
            _machine.Next(Put("k", "v", Id(1, session: (ulong)session)));
    }

    private static RequestId Id(
        long sequence, int slot = 0, ulong session = 7, long baseIndex = 0) =>
        new(session, slot, sequence, baseIndex);

    private static byte[] Put(string key, string value, RequestId id) =>
        CommandEncoder.KvPut(Machines.Bytes(key), Machines.Bytes(value), 0, id);

    private static byte[] Cas(string key, long expected, string value, RequestId id) =>
        CommandEncoder.KvCas(Machines.Bytes(key), expected, Machines.Bytes(value), id);
}
