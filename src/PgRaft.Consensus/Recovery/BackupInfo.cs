namespace PgRaft.Consensus;

/// <summary>What a backup file says of itself.</summary>
/// <remarks><i>Threading</i>: immutable.</remarks>
public sealed record BackupInfo
{
    /// <summary>The cluster it was taken of: <c>pgraft.cluster_id</c>.</summary>
    public required string ClusterId { get; init; }

    /// <summary>The member that wrote it.</summary>
    public required int NodeId { get; init; }

    /// <summary>Version of pgraft that wrote it, for people.</summary>
    public required string Version { get; init; }

    /// <summary>Last log index it covers.</summary>
    public required long Index { get; init; }

    /// <summary>Term of the entry at <see cref="Index"/>.</summary>
    public required long Term { get; init; }

    /// <summary>Term of the member when it was written, at least <see cref="Term"/>.</summary>
    public required long CurrentTerm { get; init; }

    /// <summary>Revision of the key-value data.</summary>
    public required long Revision { get; init; }

    /// <summary>Fingerprint of the state: 32 hexadecimal digits in lower case.</summary>
    public required string StateHash { get; init; }

    /// <summary>When it was written, by the wall clock, for people: nothing rests on it.</summary>
    public required DateTimeOffset TakenAt { get; init; }

    /// <summary>Length of the file.</summary>
    public long TotalBytes { get; init; }
}
