// What a snapshot file says about itself. Threading: immutable. Failure: none.
namespace PgRaft.Consensus.Storage;

/// <summary>A durable snapshot.</summary>
/// <param name="Index">Last log index it covers.</param>
/// <param name="Term">Term of the entry at <paramref name="Index"/>.</param>
/// <param name="ConfigurationIndex">Log index of the configuration in force at
/// <paramref name="Index"/>.</param>
/// <param name="Configuration">That configuration, encoded by the caller.</param>
/// <param name="TotalBytes">Length of the file: what <see cref="SnapshotStore.OpenRaw"/> yields.
/// </param>
/// <param name="Path">The file.</param>
public sealed record SnapshotInfo(
    long Index,
    long Term,
    long ConfigurationIndex,
    ReadOnlyMemory<byte> Configuration,
    long TotalBytes,
    string Path)
{
    /// <summary>Data version of the content (<see cref="Core.DataVersions"/>); 0 = not said.
    /// </summary>
    public int DataVersion { get; init; }

    // Where the state machine's bytes begin, and how many there are.
    internal long ContentOffset => SnapshotFormat.HeaderBytes(Configuration.Length);

    internal long ContentBytes => TotalBytes - ContentOffset - SnapshotFormat.FooterBytes;
}
