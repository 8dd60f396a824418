// Makes the successor of a KeyMap. A node is copied the first time an edit touches it and is then
// changed in place, so a compaction of many keys costs one copy per node, not per key. The editor
// object itself marks the nodes it owns; Freeze gives up that right, and its root: nodes outlive
// their editor for long, and through it they would keep every older version of the tree alive.
//
// Threading: one thread; what it builds is seen by others only after Freeze. Failure: an exception
// (out of memory) leaves the original map whole; drop the editor.
using System.Diagnostics.CodeAnalysis;

using PgRaft.Core.Kv;

namespace PgRaft.Core.Collections;

/// <summary>A mutable successor of one map.</summary>
internal sealed class KeyMapEditor(KeyMap map)
{
    // Below this a node is merged with a neighbour when both fit in one; far enough under half of
    // the capacity that puts and deletes in turn do not split and merge each time.
    private const int MergeBelow = KeyMapNode.Capacity / 4;

    private KeyMapNode? _root = map.Root;
    private long _count = map.Count;
    private bool _frozen;

    public bool TryGet(
        ReadOnlySpan<byte> key,
        [NotNullWhen(true)] out byte[]? storedKey,
        [NotNullWhen(true)] out KeyVersion? newest)
    {
        ThrowIfFrozen();
        return KeyMap.TryGet(_root, key, out storedKey, out newest);
    }

    /// <summary>Finds a key whose newest version is about to change, on the way copying what the
    /// change would copy.</summary>
    public bool TryEdit(ReadOnlySpan<byte> key, out KeyMapPlace place)
    {
        ThrowIfFrozen();
        place = default;
        if (_root is null)
            return false;
        var node = _root = _root.EditableBy(this);
        while (!node.IsLeaf)
            node = EditableChild(node, node.SearchChild(key));
        int index = node.Search(key);
        if (index < 0)
            return false;
        place = new KeyMapPlace(node, index);
        return true;
    }

    /// <summary>Ends the edit; the editor cannot be used after it.</summary>
    public KeyMap Freeze()
    {
        ThrowIfFrozen();
        _frozen = true;
        var successor = new KeyMap(_root, _count);
        _root = null;
        return successor;
    }

    /// <summary>Sets the newest version of a key; keeps the key array already stored, if any.
    /// </summary>
    public void Set(byte[] key, KeyVersion newest)
    {
        ThrowIfFrozen();
        if (_root is null)
        {
            _root = new KeyMapNode(0, this);
            _root.InsertAt(0, key, newest);
            _count++;
            return;
        }

        _root = _root.EditableBy(this);
        var right = Set(_root, key, newest);
        if (right is not null)
            _root = Join(_root, right);
    }

    /// <summary>Removes a key; false when it is not there.</summary>
    public bool Remove(ReadOnlySpan<byte> key)
    {
        if (!TryGet(key, out _, out _))
            return false;
        _root = _root!.EditableBy(this);
        Remove(_root, key);
        while (_root is { IsLeaf: false, Count: 1 })
            _root = _root.Child(0);
        if (_root.Count == 0)
            _root = null;
        _count--;
        return true;
    }

    private KeyMapNode Join(KeyMapNode left, KeyMapNode right)
    {
        var root = new KeyMapNode(left.Level + 1, this);
        root.InsertAt(0, left.Keys[0], left);
        root.InsertAt(1, right.Keys[0], right);
        return root;
    }

    // Returns the new right neighbour when the node had to be split.
    private KeyMapNode? Set(KeyMapNode node, byte[] key, KeyVersion newest)
    {
        if (node.IsLeaf)
        {
            int at = node.Search(key);
            if (at < 0)
            {
                _count++;
                return Insert(node, ~at, key, newest);
            }

            node.Items[at] = newest;
            return null;
        }

        int index = node.SearchChild(key);
        var right = Set(EditableChild(node, index), key, newest);
        return right is null ? null : Insert(node, index + 1, right.Keys[0], right);
    }

    private KeyMapNode? Insert(KeyMapNode node, int index, byte[] key, object item)
    {
        if (!node.IsFull)
        {
            node.InsertAt(index, key, item);
            return null;
        }

        // Ascending inserts, as in a restore, would leave every node half empty.
        bool append = index == node.Count;
        int half = append ? index : KeyMapNode.Capacity / 2;
        var right = node.SplitAt(half, this);
        if (append || index > half)
            right.InsertAt(index - half, key, item);
        else
            node.InsertAt(index, key, item);
        return right;
    }

    private void Remove(KeyMapNode node, ReadOnlySpan<byte> key)
    {
        if (node.IsLeaf)
        {
            node.RemoveAt(node.Search(key));
            return;
        }

        int index = node.SearchChild(key);
        var child = EditableChild(node, index);
        Remove(child, key);
        if (child.Count < MergeBelow)
            Merge(node, index);
    }

    // When the neighbour is too full the small node stays; it fits at the latest when it is empty,
    // so no node below a branch is ever empty.
    private void Merge(KeyMapNode parent, int index)
    {
        if (parent.Count == 1)
        {
            if (parent.Child(0).Count == 0)
                parent.RemoveAt(0);
            return;
        }

        int left = Math.Max(0, index - 1);
        var right = parent.Child(left + 1);
        if (parent.Child(left).Count + right.Count > KeyMapNode.Capacity)
            return;
        EditableChild(parent, left).Append(right);
        parent.RemoveAt(left + 1);
    }

    private KeyMapNode EditableChild(KeyMapNode node, int index)
    {
        var child = node.Child(index).EditableBy(this);
        node.Items[index] = child;
        return child;
    }

    private void ThrowIfFrozen()
    {
        if (_frozen)
            throw new InvalidOperationException("The edit has ended.");
    }
}
