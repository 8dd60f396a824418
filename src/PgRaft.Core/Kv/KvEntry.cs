// What a read returns. The memory is the state's own and never changes, so entries may be kept.
// Threading: a value over immutable memory. Failure: none.
namespace PgRaft.Core.Kv;

/// <summary>A live key and its version at the revision read.</summary>
public readonly struct KvEntry
{
    internal KvEntry(byte[] key, KeyVersion version)
    {
        Key = key;
        Value = version.Value;
        CreateRevision = version.CreateRevision;
        ModRevision = version.ModRevision;
        Version = version.Version;
        LeaseId = version.LeaseId;
    }

    /// <summary>The key, 1..4096 bytes.</summary>
    public ReadOnlyMemory<byte> Key { get; }

    /// <summary>The value, 0..16 MB.</summary>
    public ReadOnlyMemory<byte> Value { get; }

    /// <summary>Revision of the put that brought the key to life.</summary>
    public long CreateRevision { get; }

    /// <summary>Revision of the put that wrote this value.</summary>
    public long ModRevision { get; }

    /// <summary>Number of puts since the key came to life, from 1.</summary>
    public long Version { get; }

    /// <summary>Lease the key is attached to; 0 = none.</summary>
    public long LeaseId { get; }
}

/// <summary>Replicated counters of the store; the same on every member at the same applied index.
/// </summary>
public readonly record struct KvStats
{
    /// <summary>Live keys.</summary>
    public long TotalKeys { get; init; }

    /// <summary>Bytes of the live keys and their newest values.</summary>
    public long TotalBytes { get; init; }

    /// <summary>Revision of the last write; 0 before the first.</summary>
    public long Revision { get; init; }

    /// <summary>Reads before this revision are refused; 0 when never compacted.</summary>
    public long CompactedRevision { get; init; }

    /// <summary>Puts applied since the cluster was founded.</summary>
    public long Puts { get; init; }

    /// <summary>Deletes applied that found their key, since the cluster was founded.</summary>
    public long Deletes { get; init; }
}
