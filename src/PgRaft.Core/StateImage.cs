// A frozen picture of the replicated state at one applied index: what snapshots, hashes and
// readers work on while applying goes on. Threading: immutable. Failure: none.
using PgRaft.Core.Kv;

namespace PgRaft.Core;

/// <summary>The whole replicated state at <see cref="AppliedIndex"/>.</summary>
/// <remarks>Threading: immutable; any thread.</remarks>
public sealed class StateImage
{
    internal StateImage(long appliedIndex, long appliedTerm, KvView kv)
    {
        AppliedIndex = appliedIndex;
        AppliedTerm = appliedTerm;
        Kv = kv;
    }

    /// <summary>The state before any entry: applied index and term 0, no keys.</summary>
    public static StateImage Empty { get; } = new(0, 0, KvView.Empty);

    /// <summary>Log index of the last entry applied, at least 0.</summary>
    public long AppliedIndex { get; }

    /// <summary>Term of that entry, 0 when none was applied.</summary>
    public long AppliedTerm { get; }

    /// <summary>The key-value data.</summary>
    public KvView Kv { get; }
}
