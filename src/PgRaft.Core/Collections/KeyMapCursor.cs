// Walks a KeyMap in key order from any key on, without leaf links: those would have to be copied
// with every neighbour in a persistent tree.
//
// Threading: one thread per cursor; the map under it is immutable. Failure: none.
using PgRaft.Core.Kv;

namespace PgRaft.Core.Collections;

/// <summary>Forward cursor; call <see cref="MoveNext"/> before reading.</summary>
internal sealed class KeyMapCursor
{
    private readonly KeyMapNode[] _path;
    private readonly int[] _index;

    public KeyMapCursor(KeyMapNode? root, ReadOnlySpan<byte> from)
    {
        int levels = root is null ? 0 : root.Level + 1;
        _path = new KeyMapNode[levels];
        _index = new int[levels];
        for (var node = root; node is not null;)
        {
            _path[node.Level] = node;
            if (node.IsLeaf)
            {
                int found = node.Search(from);
                _index[0] = (found >= 0 ? found : ~found) - 1;
                break;
            }

            _index[node.Level] = node.SearchChild(from);
            node = node.Child(_index[node.Level]);
        }
    }

    public byte[] Key => _path[0].Keys[_index[0]];

    public KeyVersion Newest => _path[0].Newest(_index[0]);

    /// <summary>Steps to the next key; false at the end.</summary>
    public bool MoveNext()
    {
        if (_path.Length == 0)
            return false;
        if (++_index[0] < _path[0].Count)
            return true;
        int level = 1;
        while (level < _path.Length && _index[level] + 1 >= _path[level].Count)
            level++;
        if (level >= _path.Length)
            return StayAtEnd();
        _index[level]++;
        Descend(level);
        return true;
    }

    private bool StayAtEnd()
    {
        _index[0] = _path[0].Count;
        return false;
    }

    // No node below a branch is ever empty, so the first leaf position exists.
    private void Descend(int level)
    {
        for (; level > 0; level--)
        {
            _path[level - 1] = _path[level].Child(_index[level]);
            _index[level - 1] = 0;
        }
    }
}
