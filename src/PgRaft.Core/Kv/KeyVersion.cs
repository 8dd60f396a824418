// One version of one key, linked to the one before it. A list, newest first: a put shares the whole
// history instead of copying it, and what readers want most, the newest version, costs nothing.
//
// Threading: immutable. Failure: none.
namespace PgRaft.Core.Kv;

/// <summary>A version; a tombstone when <see cref="Value"/> is null.</summary>
internal sealed class KeyVersion
{
    public required byte[]? Value { get; init; }

    /// <summary>Revision of the write that made it, at least 1.</summary>
    public required long ModRevision { get; init; }

    /// <summary>Revision of the put that brought the key to life; 0 for a tombstone.</summary>
    public required long CreateRevision { get; init; }

    /// <summary>1 for the put that brought the key to life, then 1 more each; 0 for a tombstone.
    /// </summary>
    public required long Version { get; init; }

    public required long LeaseId { get; init; }

    /// <summary>Invariant: <c>Previous.ModRevision &lt; ModRevision</c>.</summary>
    public required KeyVersion? Previous { get; init; }

    public bool IsTombstone => Value is null;

    /// <summary>Whether this version made an earlier one, or itself, disposable.</summary>
    public bool Supersedes => IsTombstone || Previous is { IsTombstone: false };

    /// <summary>The version visible at <paramref name="revision"/>, tombstone or not; null when the
    /// key had none yet. Linear in the versions since then.</summary>
    public KeyVersion? At(long revision)
    {
        var version = this;
        while (version is not null && version.ModRevision > revision)
            version = version.Previous;
        return version;
    }

    /// <summary>The history without what no read at or after <paramref name="revision"/> can see;
    /// null when nothing is left, this object when nothing goes.</summary>
    public KeyVersion? Compact(long revision)
    {
        var visible = At(revision);
        if (visible is null || (!visible.IsTombstone && visible.Previous is null))
            return this;
        var newer = new Stack<KeyVersion>();
        for (var version = this; version != visible; version = version.Previous!)
            newer.Push(version);
        var result = visible.IsTombstone ? null : visible.After(null);
        while (newer.TryPop(out var version))
            result = version.After(result);
        return result;
    }

    private KeyVersion After(KeyVersion? previous) => new()
    {
        Value = Value,
        ModRevision = ModRevision,
        CreateRevision = CreateRevision,
        Version = Version,
        LeaseId = LeaseId,
        Previous = previous,
    };
}
