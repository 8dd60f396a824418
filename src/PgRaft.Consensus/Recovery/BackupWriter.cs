// Writes a backup: under a random name beside the place it is to have, synced, then given its name,
// which nothing may have yet. A crash leaves the whole file under that name, or a temporary one.
// Threading: one thread, which it blocks. Failure: PgraftException about the client's path; nothing
// is left under either name, except when only the sync of the directory failed.
using System.Security.Cryptography;
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using PgRaft.Core.Snapshots;

namespace PgRaft.Consensus.Recovery;

internal static class BackupWriter
{
    private const string TemporaryPrefix = ".pgraft-backup-";
    private const int RandomBytes = 8;

    /// <summary>Writes the state; returns when the file is durable under its name.</summary>
    /// <param name="io">The disk.</param>
    /// <param name="path">Absolute path of a file that must not exist.</param>
    /// <param name="image">What to write.</param>
    /// <param name="about">Whose state it is; what the image says itself is filled in.</param>
    /// <param name="token">Looked at until the file gets its name.</param>
    /// <exception cref="OperationCanceledException">Nothing was written.</exception>
    internal static BackupInfo Write(
        IStorageIo io, string path, StateImage image, BackupInfo about, CancellationToken token)
    {
        ClientPath.RequireFree(io, ClientPath.Checked(path));
        about = about with
        {
            Index = image.AppliedIndex,
            Term = image.AppliedTerm,
            Revision = image.Kv.Revision,
            StateHash = StateHash.ComputeHex(image, token),
        };
        string temporary = Path.Combine(Path.GetDirectoryName(path)!, NewTemporaryName());
        try
        {
            return WriteFile(io, temporary, path, image, about, token);
        }
        catch (PgraftException e)
        {
            // The client knows one name.
            throw new PgraftException(
                e.Code,
                e.Message.Replace(temporary, path, StringComparison.Ordinal),
                e.Detail?.Replace(temporary, path, StringComparison.Ordinal),
                e.Code == StatusCode.DiskFull ? StorageErrors.ClientsRoomHint : e.Hint,
                e);
        }
    }

    private static BackupInfo WriteFile(
        IStorageIo io, string temporary, string path, StateImage image, BackupInfo about,
        CancellationToken token)
    {
        using var file = new SnapshotFile(io, temporary, isNew: true, token);
        file.Append(BackupFormat.EncodeHeader(about));
        using var content = new SnapshotContentWriter(file);
        Core.Snapshots.SnapshotWriter.Write(content, image, token);
        content.Drain();
        long total = file.Length + BackupFormat.FooterBytes;
        file.Append(BackupFormat.EncodeFooter(total, file.RunningChecksum));
        token.ThrowIfCancellationRequested();
        file.Publish(path);
        return about with { TotalBytes = total };
    }

    // Not derived from the client's name, which may have the longest length allowed already.
    private static string NewTemporaryName() => TemporaryPrefix
        + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(RandomBytes))
        + AtomicFile.TemporarySuffix;
}
