// The readers' side of the store: everything as of one moment, with history back to the compacted
// revision. Threading: immutable. Failure: a read outside that history is a PgraftException.
using System.Globalization;

using PgRaft.Core.Collections;

namespace PgRaft.Core.Kv;

/// <summary>An immutable view of the key-value store.</summary>
/// <remarks>Threading: any thread, no locks; stays valid and unchanged for ever.</remarks>
public sealed class KvView
{
    internal KvView(KeyMap map, KvStats stats)
    {
        Map = map;
        Stats = stats;
    }

    /// <summary>The store before its first write.</summary>
    public static KvView Empty { get; } = new(KeyMap.Empty, default);

    /// <summary>Counters as of this view.</summary>
    public KvStats Stats { get; }

    /// <summary>Revision of the last write in this view; 0 before the first.</summary>
    public long Revision => Stats.Revision;

    /// <summary>The oldest revision that can still be read.</summary>
    public long CompactedRevision => Stats.CompactedRevision;

    internal KeyMap Map { get; }

    /// <summary>Finds a live key.</summary>
    /// <param name="key">Any bytes.</param>
    /// <param name="entry">The entry, or default.</param>
    /// <returns>Whether the key is alive.</returns>
    public bool TryGet(ReadOnlySpan<byte> key, out KvEntry entry) =>
        TryGet(key, long.MaxValue, checkRevision: false, out entry);

    /// <summary>Finds a key that was alive at a revision.</summary>
    /// <param name="key">Any bytes.</param>
    /// <param name="atRevision">From <see cref="CompactedRevision"/> to <see cref="Revision"/>;
    /// 0 = now.</param>
    /// <param name="entry">The entry, or default.</param>
    /// <returns>Whether the key was alive.</returns>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/>: the revision is
    /// compacted, in the future or negative.</exception>
    public bool TryGet(ReadOnlySpan<byte> key, long atRevision, out KvEntry entry) =>
        TryGet(key, atRevision, checkRevision: true, out entry);

    /// <summary>Whether a key is alive.</summary>
    /// <param name="key">Any bytes.</param>
    public bool Contains(ReadOnlySpan<byte> key) => TryGet(key, out _);

    /// <summary>Lists the keys that begin with a prefix, in byte order, as of a revision.</summary>
    /// <param name="prefix">Any bytes; empty for all keys. Must not change meanwhile.</param>
    /// <param name="atRevision">From <see cref="CompactedRevision"/> to <see cref="Revision"/>;
    /// 0 = now.</param>
    /// <returns>A lazy sequence; enumerate it as often as needed.</returns>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/>: the revision is
    /// compacted, in the future or negative. Thrown by this call, not by the enumeration.
    /// </exception>
    public IEnumerable<KvEntry> List(ReadOnlyMemory<byte> prefix, long atRevision = 0) =>
        Enumerate(prefix, EffectiveRevision(atRevision));

    private bool TryGet(
        ReadOnlySpan<byte> key, long atRevision, bool checkRevision, out KvEntry entry)
    {
        long revision = checkRevision ? EffectiveRevision(atRevision) : atRevision;
        if (Map.TryGet(key, out var storedKey, out var newest)
            && newest.At(revision) is { IsTombstone: false } version)
        {
            entry = new KvEntry(storedKey, version);
            return true;
        }

        entry = default;
        return false;
    }

    private IEnumerable<KvEntry> Enumerate(ReadOnlyMemory<byte> prefix, long revision)
    {
        var cursor = Map.Seek(prefix.Span);
        while (cursor.MoveNext() && cursor.Key.AsSpan().StartsWith(prefix.Span))
        {
            if (cursor.Newest.At(revision) is { IsTombstone: false } version)
                yield return new KvEntry(cursor.Key, version);
        }
    }

    private long EffectiveRevision(long atRevision)
    {
        if (atRevision == 0)
            return Revision;
        if (atRevision < 0)
            throw new PgraftException(StatusCode.BadArgument, "revision must not be negative");
        if (atRevision < CompactedRevision)
            throw OutOfHistory(atRevision, "has been compacted", "oldest", CompactedRevision);
        if (atRevision > Revision)
            throw OutOfHistory(atRevision, "does not exist yet", "newest", Revision);
        return atRevision;
    }

    private static PgraftException OutOfHistory(long at, string why, string end, long bound) => new(
        StatusCode.BadArgument,
        string.Create(CultureInfo.InvariantCulture, $"revision {at} {why}"),
        string.Create(CultureInfo.InvariantCulture, $"The {end} readable revision is {bound}."));
}
