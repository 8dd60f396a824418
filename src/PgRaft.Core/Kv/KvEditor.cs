// Makes the successor of a KvView: the rules of etcd's store. One revision per write that changes
// something; a delete leaves a tombstone so that older revisions stay readable; compaction is the
// only thing that forgets.
//
// Threading: the single writer. Failure: an exception leaves the original view whole.
using PgRaft.Core.Collections;

namespace PgRaft.Core.Kv;

/// <summary>A mutable successor of one view.</summary>
internal sealed class KvEditor(KvView view)
{
    private readonly KeyMapEditor _map = view.Map.Edit();
    private KvStats _stats = view.Stats;

    public long Revision => _stats.Revision;

    /// <summary>The stored key that the write made disposable history for, or null.</summary>
    public byte[]? SupersededKey { get; private set; }

    public KvView Freeze() => new(_map.Freeze(), _stats);

    /// <summary>Sets a key and takes the next revision. Copies both spans.</summary>
    /// <returns>Whether the key was alive.</returns>
    public bool Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, long leaseId)
    {
        bool isStored = _map.TryEdit(key, out var place);
        var newest = isStored ? place.Newest : null;
        var live = newest is { IsTombstone: false } ? newest : null;
        long revision = _stats.Revision + 1;
        var version = new KeyVersion
        {
            Value = value.ToArray(),
            ModRevision = revision,
            CreateRevision = live?.CreateRevision ?? revision,
            Version = (live?.Version ?? 0) + 1,
            LeaseId = leaseId,
            Previous = newest,
        };
        if (isStored)
            place.Newest = version;
        else
            _map.Set(key.ToArray(), version);
        SupersededKey = live is null ? null : place.Key;
        int added = live is null ? key.Length : -live.Value!.Length;
        _stats = _stats with
        {
            Revision = revision,
            TotalKeys = _stats.TotalKeys + (live is null ? 1 : 0),
            TotalBytes = _stats.TotalBytes + value.Length + added,
            Puts = _stats.Puts + 1,
        };
        return live is not null;
    }

    /// <summary>Deletes a key, and takes the next revision if it was alive.</summary>
    /// <returns>Whether the key was alive.</returns>
    public bool Delete(ReadOnlySpan<byte> key)
    {
        if (!_map.TryGet(key, out var storedKey, out var newest) || newest.IsTombstone)
            return false;
        long revision = _stats.Revision + 1;
        _map.Set(storedKey, new KeyVersion
        {
            Value = null,
            ModRevision = revision,
            CreateRevision = 0,
            Version = 0,
            LeaseId = 0,
            Previous = newest,
        });
        SupersededKey = storedKey;
        _stats = _stats with
        {
            Revision = revision,
            TotalKeys = _stats.TotalKeys - 1,
            TotalBytes = _stats.TotalBytes - key.Length - newest.Value!.Length,
            Deletes = _stats.Deletes + 1,
        };
        return true;
    }

    /// <summary>Forgets what no read at or after <paramref name="revision"/> can see.</summary>
    /// <param name="revision">More than the compacted revision, at most the current one.</param>
    /// <param name="keys">At least the keys with history superseded up to it.</param>
    public void Compact(long revision, IEnumerable<byte[]> keys)
    {
        foreach (byte[] key in keys)
        {
            if (!_map.TryEdit(key, out var place))
                continue;
            var kept = place.Newest.Compact(revision);
            if (kept is null)
                _map.Remove(key);
            else
                place.Newest = kept;
        }

        _stats = _stats with { CompactedRevision = revision };
    }
}
