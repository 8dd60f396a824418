// An ordered map from keys to their newest version that can be read, and written to a snapshot, by
// anyone while its successor is being made: a persistent (copy-on-write) B+ tree. The library's
// ImmutableSortedDictionary cannot seek to a key, which listing by prefix needs.
//
// Threading: a KeyMap is immutable. Failure: none.
using System.Diagnostics.CodeAnalysis;

using PgRaft.Core.Kv;

namespace PgRaft.Core.Collections;

/// <summary>Immutable ordered map; changed through <see cref="KeyMapEditor"/>.</summary>
internal sealed class KeyMap(KeyMapNode? root, long count)
{
    public static KeyMap Empty { get; } = new(null, 0);

    public KeyMapNode? Root { get; } = root;

    /// <summary>Number of keys, including those whose newest version is a tombstone.</summary>
    public long Count { get; } = count;

    public KeyMapEditor Edit() => new(this);

    /// <summary>A cursor before the first key that is not less than <paramref name="from"/>.
    /// </summary>
    public KeyMapCursor Seek(ReadOnlySpan<byte> from) => new(Root, from);

    public bool TryGet(
        ReadOnlySpan<byte> key,
        [NotNullWhen(true)] out byte[]? storedKey,
        [NotNullWhen(true)] out KeyVersion? newest) => TryGet(Root, key, out storedKey, out newest);

    internal static bool TryGet(
        KeyMapNode? root,
        ReadOnlySpan<byte> key,
        [NotNullWhen(true)] out byte[]? storedKey,
        [NotNullWhen(true)] out KeyVersion? newest)
    {
        storedKey = null;
        newest = null;
        if (root is null)
            return false;
        var node = root;
        while (!node.IsLeaf)
            node = node.Child(node.SearchChild(key));
        int index = node.Search(key);
        if (index < 0)
            return false;
        storedKey = node.Keys[index];
        newest = node.Newest(index);
        return true;
    }
}
