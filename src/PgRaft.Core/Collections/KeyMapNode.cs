// One node of the persistent B+ tree in KeyMap. A leaf (level 0) holds keys and their newest
// versions; a branch holds children, and Keys[i] is a lower bound of everything in child i, except
// that Keys[0] is never consulted: the first child also takes whatever is smaller. A branch that is
// not the first child has its parent's bound for it as its Keys[0], because splits make it so and
// only right neighbours are ever merged away; so merging needs no other bound.
//
// Threading: a node is changed only by the editor that owns it, before it is published; from then
// on it is immutable. Failure: none.
using System.Runtime.CompilerServices;

using PgRaft.Core.Kv;

namespace PgRaft.Core.Collections;

/// <summary>A node: up to <see cref="Capacity"/> items in ascending byte order of their keys.
/// </summary>
internal sealed class KeyMapNode(int level, object owner)
{
    /// <summary>Keeps the path that a put copies near 1.5 kB at a million keys.</summary>
    public const int Capacity = 16;

    public readonly int Level = level;
    public int Count;
    public Slots<byte[]> Keys;
    public Slots<object> Items;
    private object _owner = owner;

    public bool IsLeaf => Level == 0;

    public bool IsFull => Count == Capacity;

    public KeyMapNode Child(int index) => (KeyMapNode)Items[index];

    public KeyVersion Newest(int index) => (KeyVersion)Items[index];

    /// <summary>This node if <paramref name="owner"/> may change it, else a copy that it may.
    /// </summary>
    public KeyMapNode EditableBy(object owner)
    {
        if (ReferenceEquals(_owner, owner))
            return this;
        var copy = (KeyMapNode)MemberwiseClone();
        copy._owner = owner;
        return copy;
    }

    /// <summary>Index of <paramref name="key"/> among those from <paramref name="from"/> on, or
    /// the complement of where it belongs.</summary>
    public int Search(ReadOnlySpan<byte> key, int from = 0)
    {
        int low = from;
        int high = Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = key.SequenceCompareTo(Keys[middle]);
            if (order == 0)
                return middle;
            if (order > 0)
                low = middle + 1;
            else
                high = middle - 1;
        }

        return ~low;
    }

    /// <summary>Index of the child that covers <paramref name="key"/>.</summary>
    public int SearchChild(ReadOnlySpan<byte> key)
    {
        int index = Search(key, from: 1);
        return index >= 0 ? index : ~index - 1;
    }

    public void InsertAt(int index, byte[] key, object item)
    {
        ((ReadOnlySpan<byte[]>)Keys)[index..Count].CopyTo(((Span<byte[]>)Keys)[(index + 1)..]);
        ((ReadOnlySpan<object>)Items)[index..Count].CopyTo(((Span<object>)Items)[(index + 1)..]);
        Keys[index] = key;
        Items[index] = item;
        Count++;
    }

    public void RemoveAt(int index)
    {
        ((ReadOnlySpan<byte[]>)Keys)[(index + 1)..Count].CopyTo(((Span<byte[]>)Keys)[index..]);
        ((ReadOnlySpan<object>)Items)[(index + 1)..Count].CopyTo(((Span<object>)Items)[index..]);
        Truncate(Count - 1);
    }

    /// <summary>Moves the items from <paramref name="index"/> on to a new right neighbour.
    /// </summary>
    public KeyMapNode SplitAt(int index, object owner)
    {
        var right = new KeyMapNode(Level, owner) { Count = Count - index };
        ((ReadOnlySpan<byte[]>)Keys)[index..Count].CopyTo(right.Keys);
        ((ReadOnlySpan<object>)Items)[index..Count].CopyTo(right.Items);
        Truncate(index);
        return right;
    }

    /// <summary>Appends all items of the right neighbour; both must fit in one node.</summary>
    /// <param name="right">The neighbour; not changed.</param>
    public void Append(KeyMapNode right)
    {
        ((ReadOnlySpan<byte[]>)right.Keys)[..right.Count].CopyTo(((Span<byte[]>)Keys)[Count..]);
        ((ReadOnlySpan<object>)right.Items)[..right.Count].CopyTo(((Span<object>)Items)[Count..]);
        Count += right.Count;
    }

    // Stale references would keep dropped keys and values alive.
    private void Truncate(int count)
    {
        ((Span<byte[]>)Keys)[count..Count].Clear();
        ((Span<object>)Items)[count..Count].Clear();
        Count = count;
    }

    [InlineArray(Capacity)]
    internal struct Slots<T>
    {
        private T _first;
    }
}
