// Turns what the operating system says into the errors that storage reports: which file, where,
// why, and what to do. Threading: stateless. Failure: none.
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal static class StorageErrors
{
    private const int ErrnoNoSpace = 28;
    private const int ErrnoQuota = 122;

    private const string RoomHint =
        "Free space on the file system that holds pgraft.data_dir, then restart the worker.";

    private const string DiskHint =
        "Check the server's permissions, the file system and the disk's health.";

    private const string DamageHint =
        "Do not edit or delete the file. Remove this node from the cluster, empty its data "
        + "directory and add it again under a new node id.";

    internal static PgraftException FromErrno(int errno, string action, string path, string reason)
    {
        bool full = errno is ErrnoNoSpace or ErrnoQuota;
        return new PgraftException(
            full ? StatusCode.DiskFull : StatusCode.IoError,
            $"cannot {action} \"{path}\": {reason}",
            hint: full ? RoomHint : DiskHint);
    }

    // The runtime puts errno into HResult for the errors it has no class for, ENOSPC among them.
    internal static PgraftException FromException(Exception cause, string action, string path)
    {
        bool full = cause is IOException { HResult: ErrnoNoSpace or ErrnoQuota };
        return new PgraftException(
            full ? StatusCode.DiskFull : StatusCode.IoError,
            $"cannot {action} \"{path}\"",
            cause.Message,
            full ? RoomHint : DiskHint,
            cause);
    }

    internal static bool IsExpected(Exception cause) =>
        cause is IOException or UnauthorizedAccessException;

    internal static PgraftException Damaged(string path, long offset, string what) =>
        new(StatusCode.IoError, $"file \"{path}\" is damaged at offset {offset}", what, DamageHint);

    // A second exception of the same content: the first has been thrown on another thread.
    internal static PgraftException Again(PgraftException first) =>
        new(first.Code, first.Message, first.Detail, first.Hint, first);
}
