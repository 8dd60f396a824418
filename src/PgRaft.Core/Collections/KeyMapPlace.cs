// Where a key is in a map that is being edited.
// Threading: the editor's. Failure: none. Of no use after any other change by the editor.
using PgRaft.Core.Kv;

namespace PgRaft.Core.Collections;

/// <summary>A key's place in a leaf that its editor may change.</summary>
internal readonly struct KeyMapPlace(KeyMapNode leaf, int index)
{
    /// <summary>The key as it is stored.</summary>
    public byte[] Key => leaf.Keys[index];

    public KeyVersion Newest
    {
        get => leaf.Newest(index);
        set => leaf.Items[index] = value;
    }
}
