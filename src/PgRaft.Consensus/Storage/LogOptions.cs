// Settings of the log. Threading: immutable. Failure: Validate throws on a caller's mistake.
namespace PgRaft.Consensus.Storage;

/// <summary>Where the log lives and how much room it takes.</summary>
public sealed record LogOptions
{
    /// <summary>Default of <see cref="SegmentBytes"/>: 16 MiB.</summary>
    public const int DefaultSegmentBytes = 16 * 1024 * 1024;

    /// <summary>Default of <see cref="CacheBytes"/>: 4 MiB.</summary>
    public const int DefaultCacheBytes = 4 * 1024 * 1024;

    /// <summary>Largest payload of an entry, in bytes.</summary>
    public const int MaxPayloadBytes = 64 * 1024 * 1024;

    internal const int MinSegmentBytes = 4096;
    internal const int MaxSegmentBytes = 1024 * 1024 * 1024;
    internal const int MaxBatchBytes = 4 * 1024 * 1024;

    /// <summary>Directory of the segments; created if missing. Only files with a
    /// segment's names are touched.</summary>
    public required string Directory { get; init; }

    /// <summary>Size of a segment file, allocated at once; a larger entry gets a larger segment.
    /// 4 KiB to 1 GiB, a multiple of 4 KiB.</summary>
    public int SegmentBytes { get; init; } = DefaultSegmentBytes;

    /// <summary>Memory for entries that are already on disk. Entries that are not are always
    /// kept, and count too. 0 or more.</summary>
    public int CacheBytes { get; init; } = DefaultCacheBytes;

    internal IStorageIo Io { get; init; } = PhysicalIo.Instance;

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(SegmentBytes, MinSegmentBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(SegmentBytes, MaxSegmentBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(SegmentBytes % MinSegmentBytes, 0);
        ArgumentOutOfRangeException.ThrowIfNegative(CacheBytes);
    }
}
