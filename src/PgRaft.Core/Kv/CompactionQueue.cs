// Which keys have history to drop, by the revision that made it disposable, so that a compaction
// costs what it drops and not a walk over all keys. It can be rebuilt from a view, so it is neither
// part of the image nor of a snapshot.
//
// Threading: the single writer. Failure: none.
namespace PgRaft.Core.Kv;

/// <summary>Keys with superseded versions, in ascending order of the superseding revision.
/// </summary>
internal sealed class CompactionQueue
{
    private const int TrimAbove = 1 << 16;
    private readonly Queue<(long Revision, byte[] Key)> _superseded = new();

    public int Count => _superseded.Count;

    public static CompactionQueue Rebuild(KvView view)
    {
        var found = new List<(long Revision, byte[] Key)>();
        var cursor = view.Map.Seek([]);
        while (cursor.MoveNext())
        {
            for (var version = cursor.Newest; version is not null; version = version.Previous)
            {
                if (version.Supersedes)
                    found.Add((version.ModRevision, cursor.Key));
            }
        }

        found.Sort(static (a, b) => a.Revision.CompareTo(b.Revision));
        var queue = new CompactionQueue();
        foreach (var (revision, key) in found)
            queue.Enqueue(revision, key);
        return queue;
    }

    public void Enqueue(long revision, byte[] key) => _superseded.Enqueue((revision, key));

    /// <summary>The distinct keys superseded up to <paramref name="revision"/>; leaves them queued.
    /// </summary>
    public HashSet<byte[]> KeysUpTo(long revision)
    {
        // Stored key arrays are shared, so reference equality finds nearly all repeats; a key that
        // was dropped and came back appears twice, which costs a lookup.
        var keys = new HashSet<byte[]>(ReferenceEqualityComparer.Instance);
        foreach (var (superseded, key) in _superseded)
        {
            if (superseded > revision)
                break;
            keys.Add(key);
        }

        return keys;
    }

    public void DequeueUpTo(long revision)
    {
        int before = _superseded.Count;
        while (_superseded.TryPeek(out var head) && head.Revision <= revision)
            _superseded.Dequeue();
        if (before - _superseded.Count > TrimAbove)
            _superseded.TrimExcess();
    }
}
