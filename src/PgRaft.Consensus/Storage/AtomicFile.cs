// Small files that are replaced as a whole: temporary file, sync, rename, directory sync. A reader
// after a crash sees the old content or the new, never a mixture: a bad checksum is always damage.
// Threading: callers serialise writes to one name. Failure: PgraftException; after a failed sync
// or directory sync it is unknown which content a restart will find, so callers take it for final.
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal static class AtomicFile
{
    internal const string TemporarySuffix = ".tmp";

    internal static void Write(IStorageIo io, string path, ReadOnlySpan<byte> content) =>
        Publish(io, Stage(io, path, content), path);

    // Writes and syncs the temporary file and returns its path; nothing has been replaced yet.
    internal static string Stage(IStorageIo io, string path, ReadOnlySpan<byte> content)
    {
        string temporary = path + TemporarySuffix;
        try
        {
            using IStorageFile file = io.Create(temporary);
            file.Write(0, content);
            file.Sync();
            return temporary;
        }
        catch (PgraftException)
        {
            TryDelete(io, temporary);
            throw;
        }
    }

    // The temporary file must have been synced.
    internal static void Publish(IStorageIo io, string temporary, string path)
    {
        io.Rename(temporary, path);
        io.SyncDirectory(Path.GetDirectoryName(path)!);
    }

    internal static byte[] Read(IStorageIo io, string path, int maxBytes)
    {
        using IStorageFile file = io.OpenRead(path);
        if (file.Length > maxBytes)
        {
            throw StorageErrors.Damaged(path, maxBytes, $"it is {file.Length} bytes long");
        }

        byte[] content = new byte[file.Length];
        int read = file.Read(0, content);
        return read == content.Length ? content : content[..read];
    }

    // Cleaning up after a failure must not hide it.
    internal static void TryDelete(IStorageIo io, string path)
    {
        try
        {
            io.Delete(path);
        }
        catch (PgraftException)
        {
            // The next start deletes it.
        }
    }
}
