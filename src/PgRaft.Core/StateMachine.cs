// The replicated state machine: turns committed commands into state, the same on every member.
// Nothing local enters it: no clock, no randomness, no node id, no setting.
//
// Threading: one writer (Apply, Skip, Restore), any number of readers. Each apply builds the
// successor aside and publishes it with one volatile write, so readers see a state before or after
// a command, never between. The results of requests are changed in place, under a lock that only
// the writer and whoever copies or searches them take. Failure: a bad command changes nothing but
// the applied index; an exception leaves the state as it was before the call.
using System.Globalization;

using PgRaft.Core.Commands;
using PgRaft.Core.Kv;
using PgRaft.Core.Requests;

namespace PgRaft.Core;

/// <summary>Applies committed entries in log order and serves immutable images of the result.
/// </summary>
/// <remarks>
/// A request (a command with a <see cref="RequestId"/>) takes effect at most once, however many
/// copies of it are in the log. Threading: <see cref="Apply"/>, <see cref="Skip"/> and
/// <see cref="Restore"/> by one thread at a time; everything else by any thread. Source: Ongaro
/// 2014 §3.1, §5, §6.3.
/// </remarks>
public sealed class StateMachine
{
    private readonly Lock _gate = new();
    private AppliedState _applied = StateImage.Empty.Applied;
    private RequestTable _requests = new();
    private CompactionQueue _superseded = new();

    /// <summary>Log index of the last entry applied, at least 0.</summary>
    public long AppliedIndex => Current.Index;

    /// <summary>The key-value data as of <see cref="AppliedIndex"/>.</summary>
    public KvView Kv => Current.Kv;

    /// <summary>As <see cref="StateImage.DataVersion"/>, of the state now.</summary>
    public int DataVersion => Current.DataVersion;

    internal CompactionQueue Superseded => _superseded;

    private AppliedState Current => Volatile.Read(ref _applied);

    /// <summary>The state now, as one consistent and immutable image. Linear in the number of
    /// requests remembered; constant in the data.</summary>
    public StateImage Capture()
    {
        lock (_gate)
            return new StateImage(_applied, _requests.Clone());
    }

    /// <summary>What came of a request, as far as it was applied here and is remembered.</summary>
    /// <param name="id">Any; none is never found.</param>
    /// <param name="first">The result of its first copy, or default.</param>
    public bool TryFindResult(RequestId id, out ApplyResult first)
    {
        first = default;
        if (id.IsNone)
            return false;
        lock (_gate)
        {
            if (_requests.Judge(id, out _, out var result) != RequestVerdict.Applied)
                return false;
            first = result.ToResult();
            return true;
        }
    }

    /// <summary>Applies one committed command and makes its effect visible to readers.</summary>
    /// <param name="index">Log index; exactly the applied index plus 1.</param>
    /// <param name="term">Term of the entry; never less than that of the one before.</param>
    /// <param name="command">An encoded command, copied where kept; empty for the engine's no-op
    /// entry.</param>
    /// <returns>The same on every member; for a request that was applied before, what came of it
    /// then. <see cref="StatusCode.BadArgument"/> when the command is malformed, names a lease
    /// (there are none in this format) or compacts the future; see <see cref="ApplyResult.Status"/>
    /// for the others. A command that is not Ok changed nothing.</returns>
    /// <exception cref="InvalidOperationException">The index or term is not the next one: an
    /// invariant of the log is broken and the node must stop.</exception>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: the command is of a
    /// version that this build does not read. Members that do will apply it, so this one must
    /// stop.</exception>
    public ApplyResult Apply(long index, long term, ReadOnlySpan<byte> command)
    {
        int version = Command.VersionOf(command);
        if (version > DataVersions.Newest)
            throw DataVersions.TooNew(EntryAt(index), version);
        var change = new Change(CheckNext(index, term).Kv, index, term) { Version = version };
        if (command.IsEmpty)
            return Publish(change, StatusCode.Ok);
        if (Command.TryDecode(command, out var decoded) != CommandDecodeStatus.Ok)
            return Publish(change, StatusCode.BadArgument);
        if (decoded.Id.IsNone)
            return Execute(change, decoded);

        // Without the lock: nobody but this thread changes it.
        var verdict = _requests.Judge(decoded.Id, out var session, out var first);
        return verdict switch
        {
            RequestVerdict.New =>
                Execute(change with { Id = decoded.Id, Session = session }, decoded),
            RequestVerdict.Applied => Repeat(change, first),
            _ => Publish(change, StatusCode.NotFound),
        };
    }

    /// <summary>Advances the applied index over an entry that holds no command, such as a
    /// configuration.</summary>
    /// <param name="index">Log index; exactly the applied index plus 1.</param>
    /// <param name="term">Term of the entry; never less than that of the one before.</param>
    /// <exception cref="InvalidOperationException">As for <see cref="Apply"/>.</exception>
    public void Skip(long index, long term) =>
        Publish(new Change(CheckNext(index, term).Kv, index, term), StatusCode.Ok);

    /// <summary>Replaces the whole state by an image, as read from a snapshot.</summary>
    /// <param name="image">At or after the applied index.</param>
    /// <exception cref="InvalidOperationException">The image is older than what was applied: going
    /// back would show readers the past.</exception>
    public void Restore(StateImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        var before = Current;
        if (image.AppliedIndex < before.Index)
        {
            throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture,
                $"Cannot restore index {image.AppliedIndex} over {before.Index}."));
        }

        var requests = image.Requests.Clone();
        _superseded = CompactionQueue.Rebuild(image.Kv);
        lock (_gate)
        {
            _requests = requests;
            Volatile.Write(ref _applied, image.Applied);
        }
    }

    private ApplyResult Execute(Change change, in Command command)
    {
        // The leader looked at the term too; this makes a copy in another term harmless.
        if (command.ExpectedTerm != 0 && command.ExpectedTerm != change.Term)
            return Publish(change, StatusCode.NotDone);
        return command.Type switch
        {
            CommandType.KvPut => Put(change, command),
            CommandType.KvDelete => Delete(change, command.Key),
            CommandType.KvCompact => Compact(change, command.Revision),
            CommandType.KvCas => CompareAndSet(change, command),
            _ => Publish(change, StatusCode.Ok),
        };
    }

    private ApplyResult Put(Change change, in Command command)
    {
        if (command.LeaseId != 0)
            return Publish(change, StatusCode.BadArgument);
        var edit = new KvEditor(change.Kv);
        bool existed = edit.Put(command.Key, command.Value, command.LeaseId);
        return Commit(change with { Existed = existed }, edit);
    }

    private ApplyResult Delete(Change change, ReadOnlySpan<byte> key)
    {
        var edit = new KvEditor(change.Kv);
        return edit.Delete(key)
            ? Commit(change with { Existed = true }, edit)
            : Publish(change, StatusCode.Ok);
    }

    private ApplyResult CompareAndSet(Change change, in Command command)
    {
        bool exists = change.Kv.TryGet(command.Key, out var entry);
        if ((exists ? entry.ModRevision : 0) != command.Revision)
            return Publish(change with { Existed = exists }, StatusCode.Ok);
        var edit = new KvEditor(change.Kv);
        edit.Put(command.Key, command.Value, leaseId: 0);
        return Commit(change with { Existed = exists, Matched = true }, edit);
    }

    // Compacting what is compacted already is done, not wrong: members may propose it twice.
    private ApplyResult Compact(Change change, long revision)
    {
        if (revision > change.Kv.Revision)
            return Publish(change, StatusCode.BadArgument);
        if (revision <= change.Kv.CompactedRevision)
            return Publish(change, StatusCode.Ok);
        var edit = new KvEditor(change.Kv);
        edit.Compact(revision, _superseded.KeysUpTo(revision));
        var result = Publish(change with { Kv = edit.Freeze() }, StatusCode.Ok);
        _superseded.DequeueUpTo(revision);
        return result;
    }

    private ApplyResult Commit(Change change, KvEditor edit)
    {
        var after = edit.Freeze();
        if (edit.SupersededKey is { } key)
            _superseded.Enqueue(after.Revision, key);
        return Publish(change with { Kv = after }, StatusCode.Ok);
    }

    private ApplyResult Repeat(Change change, SlotResult first)
    {
        Publish(change, StatusCode.Ok);
        return first.ToResult();
    }

    private ApplyResult Publish(Change change, StatusCode status)
    {
        var result = new ApplyResult
        {
            Status = status,
            Revision = change.Kv.Revision,
            Index = change.Index,
            Existed = change.Existed,
            Matched = change.Matched,
        };
        var after = new AppliedState(
            change.Index,
            change.Term,
            change.Kv,
            Math.Max(change.Version, Current.DataVersion));
        lock (_gate)
        {
            if (!change.Id.IsNone)
                _requests.Record(change.Id, change.Session, result);
            Volatile.Write(ref _applied, after);
        }

        return result;
    }

    private static string EntryAt(long index) =>
        string.Create(CultureInfo.InvariantCulture, $"log entry {index}");

    private AppliedState CheckNext(long index, long term)
    {
        var before = Current;
        if (index == before.Index + 1 && term >= before.Term)
            return before;
        throw new InvalidOperationException(string.Create(
            CultureInfo.InvariantCulture,
            $"Entry {index} of term {term} does not follow entry {before.Index} of term "
                + $"{before.Term}."));
    }

    /// <summary>An entry on its way: what it makes of the data, and whose request it is.</summary>
    private readonly record struct Change(KvView Kv, long Index, long Term)
    {
        /// <summary>Data version of its command; 0 = it has none.</summary>
        public int Version { get; init; }

        /// <summary>Whose result to remember, or none.</summary>
        public RequestId Id { get; init; }

        /// <summary>The session of <see cref="Id"/>, or null when it is to be opened.</summary>
        public RequestTable.Session? Session { get; init; }

        public bool Existed { get; init; }

        public bool Matched { get; init; }
    }
}
