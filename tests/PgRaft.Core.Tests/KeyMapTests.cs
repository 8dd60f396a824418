// The persistent tree against the library's sorted dictionary, and that old versions stay as they
// were. Keys are drawn from a small range so that splits, merges and overwrites all happen.
using System.Buffers.Binary;
using System.Runtime.CompilerServices;

using CsCheck;

using PgRaft.Core.Collections;
using PgRaft.Core.Kv;

using Xunit;

namespace PgRaft.Core.Tests;

public class KeyMapTests
{
    // Mostly puts, then mostly deletes, so that trees grow to several levels and shrink again.
    private static readonly Gen<(bool Set, ushort Key)[]> Growth =
        Gen.Select(Gen.Int[0, 9], Gen.UShort[0, 999], (d, k) => (d > 1, k)).Array[0, 1500];

    private static readonly Gen<(bool Set, ushort Key)[]> Decline =
        Gen.Select(Gen.Int[0, 9], Gen.UShort[0, 999], (d, k) => (d > 8, k)).Array[0, 3000];

    [Fact]
    public void Behaves_as_a_sorted_dictionary() =>
        Gen.Select(Growth, Decline, Gen.Int[20, 400]).Sample(
            (growth, decline, stride) =>
            {
                var model = new SortedDictionary<ushort, KeyVersion>();
                var map = KeyMap.Empty;
                foreach (var batch in growth.Concat(decline).Chunk(stride))
                {
                    var before = map;
                    var pairsBefore = Pairs(before);
                    map = Edit(map, model, batch);
                    Assert.True(model.Select(p => (p.Key, p.Value)).SequenceEqual(Pairs(map)));
                    Assert.Equal(model.Count, map.Count);
                    Assert.True(pairsBefore.SequenceEqual(Pairs(before)));
                }
            },
            iter: 60);

    [Fact]
    public void Seek_starts_at_the_first_key_not_less() =>
        Gen.Select(Growth, Gen.UShort[0, 1001]).Sample(
            (growth, from) =>
            {
                var model = new SortedDictionary<ushort, KeyVersion>();
                var map = Edit(KeyMap.Empty, model, growth);
                var cursor = map.Seek(Bytes(from));
                foreach (ushort expected in model.Keys.Where(k => k >= from))
                {
                    Assert.True(cursor.MoveNext());
                    Assert.Equal(Bytes(expected), cursor.Key);
                }

                Assert.False(cursor.MoveNext());
                Assert.False(cursor.MoveNext());
            },
            iter: 200);

    [Fact]
    public void Removing_everything_leaves_nothing()
    {
        var model = new SortedDictionary<ushort, KeyVersion>();
        var all = Enumerable.Range(0, 5000).Select(i => (ushort)(i * 7919 % 5000)).ToArray();
        var map = Edit(KeyMap.Empty, model, [.. all.Select(k => (true, k))]);
        Assert.Equal(5000, map.Count);
        map = Edit(map, model, [.. all.Reverse().Select(k => (false, k))]);
        Assert.Null(map.Root);
        Assert.Equal(0, map.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Full_nodes_beside_emptied_ones_are_merged(bool fromTheFront)
    {
        const int Full = KeyMapNode.Capacity * KeyMapNode.Capacity;
        for (ushort count = Full - 1; count <= (2 * Full) + 2; count++)
        {
            var edit = KeyMap.Empty.Edit();
            for (ushort i = 0; i < count; i++)
                edit.Set(Bytes(i), Version(i));
            for (ushort i = 0; i < count; i++)
                Assert.True(edit.Remove(Bytes(fromTheFront ? i : (ushort)(count - 1 - i))));
            Assert.Null(edit.Freeze().Root);
        }
    }

    [Fact]
    public void Ascending_inserts_fill_the_leaves()
    {
        var edit = KeyMap.Empty.Edit();
        for (ushort i = 0; i < KeyMapNode.Capacity * KeyMapNode.Capacity; i++)
            edit.Set(Bytes(i), Version(i));
        Assert.Equal(1, edit.Freeze().Root!.Level);
    }

    [Fact]
    public void A_frozen_editor_refuses_changes()
    {
        var edit = KeyMap.Empty.Edit();
        edit.Set(Bytes(1), Version(1));
        edit.Freeze();
        Assert.Throws<InvalidOperationException>(() => edit.Set(Bytes(2), Version(2)));
        Assert.Throws<InvalidOperationException>(() => edit.Remove(Bytes(1)));
        Assert.Throws<InvalidOperationException>(() => edit.TryGet(Bytes(1), out _, out _));
        Assert.Throws<InvalidOperationException>(edit.Freeze);
    }

    [Fact]
    public void A_map_does_not_keep_its_predecessors_alive()
    {
        var map = KeyMap.Empty;
        var roots = new List<WeakReference>();
        for (ushort i = 0; i < 100; i++)
            map = Successor(map, i, roots);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.Equal(1, roots.Count(r => r.IsAlive));
        GC.KeepAlive(map);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static KeyMap Successor(KeyMap map, ushort key, List<WeakReference> roots)
    {
        var edit = map.Edit();
        edit.Set(Bytes(key), Version(key));
        var successor = edit.Freeze();
        roots.Add(new WeakReference(successor.Root));
        return successor;
    }

    private static KeyMap Edit(
        KeyMap map,
        SortedDictionary<ushort, KeyVersion> model,
        (bool Set, ushort Key)[] operations)
    {
        var edit = map.Edit();
        foreach (var (set, key) in operations)
        {
            if (set)
            {
                model[key] = Version(model.Count);
                edit.Set(Bytes(key), model[key]);
            }
            else
            {
                Assert.Equal(model.Remove(key), edit.Remove(Bytes(key)));
            }
        }

        return edit.Freeze();
    }

    private static List<(ushort, KeyVersion)> Pairs(KeyMap map)
    {
        var pairs = new List<(ushort, KeyVersion)>();
        var cursor = map.Seek([]);
        while (cursor.MoveNext())
            pairs.Add((BinaryPrimitives.ReadUInt16BigEndian(cursor.Key), cursor.Newest));
        return pairs;
    }

    private static byte[] Bytes(ushort key)
    {
        byte[] bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, key);
        return bytes;
    }

    private static KeyVersion Version(long number) => new()
    {
        Value = [],
        ModRevision = number,
        CreateRevision = number,
        Version = 1,
        LeaseId = 0,
        Previous = null,
    };
}
