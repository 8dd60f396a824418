// The replicated state machine: turns committed commands into state, the same on every member.
// Nothing local enters it: no clock, no randomness, no node id, no setting.
//
// Threading: one writer (Apply, Skip, Restore), any number of readers without locks. Each apply
// builds the successor aside and publishes it with one volatile write, so readers see a state
// before or after a command, never between. Failure: a bad command changes nothing but the applied
// index; an exception leaves the state as it was before the call.
using System.Globalization;

using PgRaft.Core.Commands;
using PgRaft.Core.Kv;

namespace PgRaft.Core;

/// <summary>Applies committed entries in log order and serves immutable images of the result.
/// </summary>
/// <remarks>
/// Threading: <see cref="Apply"/>, <see cref="Skip"/> and <see cref="Restore"/> by one thread at a
/// time; everything else by any thread. Source: Ongaro 2014 §3.1, §5.
/// </remarks>
public sealed class StateMachine
{
    private StateImage _current = StateImage.Empty;
    private CompactionQueue _superseded = new();

    /// <summary>Log index of the last entry applied, at least 0.</summary>
    public long AppliedIndex => Capture().AppliedIndex;

    /// <summary>The key-value data as of <see cref="AppliedIndex"/>.</summary>
    public KvView Kv => Capture().Kv;

    internal CompactionQueue Superseded => _superseded;

    /// <summary>The state now, as one consistent and immutable image. Constant time.</summary>
    public StateImage Capture() => Volatile.Read(ref _current);

    /// <summary>Applies one committed command and makes its effect visible to readers.</summary>
    /// <param name="index">Log index; exactly the applied index plus 1.</param>
    /// <param name="term">Term of the entry; never less than that of the one before.</param>
    /// <param name="command">An encoded command, copied where kept; empty for the engine's no-op
    /// entry.</param>
    /// <returns>The same on every member. <see cref="StatusCode.BadArgument"/> when the command is
    /// malformed, names a lease (there are none in this format) or compacts the future; it then
    /// changed nothing.</returns>
    /// <exception cref="InvalidOperationException">The index or term is not the next one: an
    /// invariant of the log is broken and the node must stop.</exception>
    public ApplyResult Apply(long index, long term, ReadOnlySpan<byte> command)
    {
        var before = CheckNext(index, term);
        if (command.IsEmpty)
            return Publish(index, term, before.Kv, StatusCode.Ok);
        if (Command.TryDecode(command, out var decoded) != CommandDecodeStatus.Ok)
            return Publish(index, term, before.Kv, StatusCode.BadArgument);
        return decoded.Type switch
        {
            CommandType.KvPut => Put(index, term, before.Kv, decoded),
            CommandType.KvDelete => Delete(index, term, before.Kv, decoded.Key),
            CommandType.KvCompact => Compact(index, term, before.Kv, decoded.Revision),
            _ => Publish(index, term, before.Kv, StatusCode.Ok),
        };
    }

    /// <summary>Advances the applied index over an entry that holds no command, such as a
    /// configuration.</summary>
    /// <param name="index">Log index; exactly the applied index plus 1.</param>
    /// <param name="term">Term of the entry; never less than that of the one before.</param>
    /// <exception cref="InvalidOperationException">As for <see cref="Apply"/>.</exception>
    public void Skip(long index, long term)
    {
        var before = CheckNext(index, term);
        Publish(index, term, before.Kv, StatusCode.Ok);
    }

    /// <summary>Replaces the whole state by an image, as read from a snapshot.</summary>
    /// <param name="image">At or after the applied index.</param>
    /// <exception cref="InvalidOperationException">The image is older than what was applied: going
    /// back would show readers the past.</exception>
    public void Restore(StateImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        var before = Capture();
        if (image.AppliedIndex < before.AppliedIndex)
        {
            throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture,
                $"Cannot restore index {image.AppliedIndex} over {before.AppliedIndex}."));
        }

        _superseded = CompactionQueue.Rebuild(image.Kv);
        Volatile.Write(ref _current, image);
    }

    private ApplyResult Put(long index, long term, KvView before, in Command command)
    {
        if (command.LeaseId != 0)
            return Publish(index, term, before, StatusCode.BadArgument);
        var edit = new KvEditor(before);
        bool existed = edit.Put(command.Key, command.Value, command.LeaseId);
        return Commit(index, term, edit, existed);
    }

    private ApplyResult Delete(long index, long term, KvView before, ReadOnlySpan<byte> key)
    {
        var edit = new KvEditor(before);
        return edit.Delete(key)
            ? Commit(index, term, edit, existed: true)
            : Publish(index, term, before, StatusCode.Ok);
    }

    // Compacting what is compacted already is done, not wrong: members may propose it twice.
    private ApplyResult Compact(long index, long term, KvView before, long revision)
    {
        if (revision > before.Revision)
            return Publish(index, term, before, StatusCode.BadArgument);
        if (revision <= before.CompactedRevision)
            return Publish(index, term, before, StatusCode.Ok);
        var edit = new KvEditor(before);
        edit.Compact(revision, _superseded.KeysUpTo(revision));
        var result = Publish(index, term, edit.Freeze(), StatusCode.Ok);
        _superseded.DequeueUpTo(revision);
        return result;
    }

    private ApplyResult Commit(long index, long term, KvEditor edit, bool existed)
    {
        var after = edit.Freeze();
        if (edit.SupersededKey is { } key)
            _superseded.Enqueue(after.Revision, key);
        return Publish(index, term, after, StatusCode.Ok, existed);
    }

    private ApplyResult Publish(
        long index, long term, KvView after, StatusCode status, bool existed = false)
    {
        Volatile.Write(ref _current, new StateImage(index, term, after));
        return new ApplyResult { Status = status, Revision = after.Revision, Existed = existed };
    }

    private StateImage CheckNext(long index, long term)
    {
        var before = Capture();
        if (index == before.AppliedIndex + 1 && term >= before.AppliedTerm)
            return before;
        (long last, long lastTerm) = (before.AppliedIndex, before.AppliedTerm);
        throw new InvalidOperationException(string.Create(
            CultureInfo.InvariantCulture,
            $"Entry {index} of term {term} does not follow entry {last} of term {lastTerm}."));
    }
}
