// A frozen picture of the replicated state at one applied index: what snapshots and hashes work on
// while applying goes on. Threading: immutable. Failure: none.
using PgRaft.Core.Kv;
using PgRaft.Core.Requests;

namespace PgRaft.Core;

/// <summary>The whole replicated state at <see cref="AppliedIndex"/>.</summary>
/// <remarks>Threading: immutable; any thread.</remarks>
public sealed class StateImage
{
    internal StateImage(AppliedState applied, RequestTable requests)
    {
        Applied = applied;
        Requests = requests;
    }

    /// <summary>The state before any entry: applied index and term 0, no keys.</summary>
    public static StateImage Empty { get; } =
        new(new AppliedState(0, 0, KvView.Empty), new RequestTable());

    /// <summary>Log index of the last entry applied, at least 0.</summary>
    public long AppliedIndex => Applied.Index;

    /// <summary>Term of that entry, 0 when none was applied.</summary>
    public long AppliedTerm => Applied.Term;

    /// <summary>The key-value data.</summary>
    public KvView Kv => Applied.Kv;

    /// <summary>Newest data version among the commands that were applied, at least
    /// <see cref="DataVersions.OldestWritten"/>: what a member must read to take this over.
    /// </summary>
    public int DataVersion => Applied.DataVersion;

    internal AppliedState Applied { get; }

    /// <summary>Never changed.</summary>
    internal RequestTable Requests { get; }
}

/// <summary>What readers see, published anew by every entry.</summary>
internal sealed record AppliedState(
    long Index, long Term, KvView Kv, int DataVersion = DataVersions.OldestWritten);
