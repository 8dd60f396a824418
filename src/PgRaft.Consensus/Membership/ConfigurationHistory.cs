// Which configuration holds at which log index. A configuration takes effect when its entry is in
// the log, not when it is committed (Ongaro 2014 §4.1), and is taken back when the entry is
// truncated; so the newest one and the committed one are both needed.
// Threading: every member takes the one lock; nothing blocks inside it.
// Failure: none of its own.
namespace PgRaft.Consensus.Membership;

/// <summary>The configurations from the snapshot (or the founding) to the end of the log.</summary>
/// <remarks><i>Invariant</i>: indexes ascend strictly; there is always at least the base.</remarks>
internal sealed class ConfigurationHistory
{
    private readonly Lock _gate = new();
    private readonly List<Version> _versions = [];

    /// <summary>
    /// Starts with the configuration of the snapshot, of the founding (index 0), or none.
    /// </summary>
    public ConfigurationHistory(long baseIndex, Configuration configuration)
    {
        _versions.Add(new Version(baseIndex, 0, configuration));
    }

    /// <summary>The newest configuration in the log, committed or not: the one in effect.</summary>
    public (long Index, Configuration Configuration) Latest
    {
        get
        {
            lock (_gate)
            {
                return (_versions[^1].Index, _versions[^1].Configuration);
            }
        }
    }

    /// <summary>The newest configuration at or below <paramref name="index"/>.</summary>
    public (long Index, Configuration Configuration) At(long index)
    {
        lock (_gate)
        {
            int i = _versions.FindLastIndex(v => v.Index <= index);
            var found = _versions[Math.Max(i, 0)];
            return (found.Index, found.Configuration);
        }
    }

    /// <summary>Adds the configuration of a new log entry.</summary>
    public void Append(long index, long term, Configuration configuration)
    {
        lock (_gate)
        {
            _versions.RemoveAll(v => v.Index >= index);
            _versions.Add(new Version(index, term, configuration));
        }
    }

    /// <summary>Drops those whose entries the log no longer holds with the same term.</summary>
    public void DropTruncated(Func<long, long> termAt, long commitIndex)
    {
        lock (_gate)
        {
            _versions.RemoveAll(v => v.Index > commitIndex && termAt(v.Index) != v.Term);
        }
    }

    /// <summary>
    /// Starts over from an installed snapshot or a founding, keeping newer entries.
    /// </summary>
    public void Rebase(long index, Configuration configuration)
    {
        lock (_gate)
        {
            _versions.RemoveAll(v => v.Index <= index);
            _versions.Insert(0, new Version(index, 0, configuration));
        }
    }

    /// <summary>Drops everything and starts from an installed snapshot.</summary>
    public void Reset(long index, Configuration configuration)
    {
        lock (_gate)
        {
            _versions.Clear();
            _versions.Add(new Version(index, 0, configuration));
        }
    }

    private readonly record struct Version(long Index, long Term, Configuration Configuration);
}
