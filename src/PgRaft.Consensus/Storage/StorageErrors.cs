// Turns what the operating system says into the errors that storage reports: which file, where,
// why, and what to do. Threading: stateless. Failure: none.
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal static class StorageErrors
{
    private const int ErrnoNoSpace = 28;
    private const int ErrnoQuota = 122;
    private const int ErrnoNotPermitted = 1;
    private const int ErrnoNotThere = 2;
    private const int ErrnoAccess = 13;
    private const int ErrnoExists = 17;
    private const int ErrnoNoDirectory = 20;
    private const int ErrnoIsDirectory = 21;
    private const int ErrnoReadOnly = 30;
    private const int ErrnoNameTooLong = 36;
    private const int ErrnoTooManyLinks = 40;

    private const string RoomHint =
        "Free space on the file system that holds pgraft.data_dir, then restart the worker.";

    internal const string ClientsRoomHint = "Free space there, or choose another place.";

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

    // A file that a client named: most of what can go wrong is in the name.
    internal static PgraftException OfClientsFile(
        int errno, string action, string path, string reason) =>
        new(
            CodeOfClientsFile(errno),
            $"cannot {action} \"{path}\": {reason}",
            hint: HintForClientsFile(errno));

    internal static bool IsFull(Exception cause) =>
        cause is IOException { HResult: ErrnoNoSpace or ErrnoQuota };

    private static StatusCode CodeOfClientsFile(int errno) => errno switch
    {
        ErrnoNoSpace or ErrnoQuota => StatusCode.DiskFull,
        ErrnoNotPermitted or ErrnoAccess or ErrnoReadOnly => StatusCode.NotAllowed,
        ErrnoNotThere or ErrnoExists or ErrnoNoDirectory or ErrnoIsDirectory
            or ErrnoNameTooLong or ErrnoTooManyLinks => StatusCode.BadArgument,
        _ => StatusCode.IoError,
    };

    private static string? HintForClientsFile(int errno) => errno switch
    {
        ErrnoNoSpace or ErrnoQuota => ClientsRoomHint,
        ErrnoNotPermitted or ErrnoAccess or ErrnoReadOnly =>
            "The server opens it with the rights of the user that PostgreSQL runs as.",
        ErrnoNotThere or ErrnoNoDirectory => "The path is on the server's machine.",
        ErrnoExists => "Nothing is overwritten: choose another name.",
        _ => null,
    };

    // The runtime puts errno into HResult for the errors it has no class for, ENOSPC among them.
    internal static PgraftException FromException(Exception cause, string action, string path)
    {
        bool full = IsFull(cause);
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
