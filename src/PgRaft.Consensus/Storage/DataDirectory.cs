// The directory everything durable lives in: created private, locked against a second server, and
// stamped with whose it is, because a cloned PGDATA must not clone a vote.
//
// Threading: Open and Dispose by one owner; Probe from any thread, one at a time.
// Failure: Open throws and holds nothing. The lock is the kernel's (flock), so a killed process
// leaves none behind.
using Microsoft.Win32.SafeHandles;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

/// <summary>
/// An exclusively held data directory whose stamp names this cluster and node.
/// </summary>
/// <remarks><i>Threading</i>: <see cref="Probe"/> may be called from any thread.</remarks>
public sealed class DataDirectory : IDisposable
{
    private const string LockName = "lock";
    private const string StampName = "stamp";
    private const string ProbeName = "probe";
    private const int ErrnoWouldBlock = 11;
    private const int ProbeBytes = 4096;

    private const UnixFileMode OwnerOnly =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly IStorageIo _io;
    private readonly SafeFileHandle _lock;
    private readonly Lock _probe = new();

    private DataDirectory(string path, IStorageIo io, SafeFileHandle held)
    {
        Path = path;
        _io = io;
        _lock = held;
        Stamp = null!;
    }

    /// <summary>The directory, absolute.</summary>
    public string Path { get; }

    /// <summary>Random id given when the directory was first stamped: tells a rebuilt node from
    /// the one before it.</summary>
    public Guid Incarnation => Stamp.Incarnation;

    private DirectoryStamp Stamp { get; set; }

    /// <summary>
    /// Creates the directory if it is missing (mode 0700, the last component only), takes it from
    /// group and world, locks it, and stamps it or checks its stamp.
    /// </summary>
    /// <param name="path">Absolute path.</param>
    /// <param name="clusterId">Name all members share; no line breaks.</param>
    /// <param name="nodeId">1..65535.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: in use by another
    /// server, stamp of another cluster or node, or files that are not ours.
    /// <see cref="StatusCode.IoError"/>: parent missing, not writable, stamp damaged.
    /// <see cref="StatusCode.DiskFull"/>.</exception>
    public static DataDirectory Open(string path, string clusterId, int nodeId) =>
        Open(path, clusterId, nodeId, PhysicalIo.Instance);

    internal static DataDirectory Open(string path, string clusterId, int nodeId, IStorageIo io)
    {
        path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        RequireParent(path);
        io.CreateDirectory(path);
        if (!io.Exists(System.IO.Path.Combine(path, StampName)))
        {
            // Before anything in it is touched: it may be somebody else's, named by mistake.
            RefuseForeignFiles(path);
        }

        MakePrivate(path);
        SafeFileHandle held = TakeLock(System.IO.Path.Combine(path, LockName));
        var directory = new DataDirectory(path, io, held);
        try
        {
            directory.Stamp = directory.CheckStamp(clusterId, nodeId);
            return directory;
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    // Whether a directory is some member's, whoever's.
    internal static bool IsOne(IStorageIo io, string directory) =>
        io.Exists(System.IO.Path.Combine(directory, StampName))
        && io.Exists(System.IO.Path.Combine(directory, LockName));

    /// <summary>Writes, syncs and deletes a small file: the directory takes data.</summary>
    /// <exception cref="PgraftException"><see cref="StatusCode.IoError"/> or
    /// <see cref="StatusCode.DiskFull"/>.</exception>
    public void Probe()
    {
        string path = System.IO.Path.Combine(Path, ProbeName + AtomicFile.TemporarySuffix);
        lock (_probe)
        {
            try
            {
                using IStorageFile file = _io.Create(path);
                file.Write(0, new byte[ProbeBytes]);
                file.Sync();
            }
            finally
            {
                AtomicFile.TryDelete(_io, path);
            }
        }
    }

    /// <summary>Gives the directory up.</summary>
    public void Dispose() => _lock.Dispose();

    private static void RequireParent(string path)
    {
        string? parent = System.IO.Path.GetDirectoryName(path);
        if (parent is not null && !Directory.Exists(parent))
        {
            throw new PgraftException(
                StatusCode.IoError,
                $"cannot create data directory \"{path}\": its parent directory does not exist",
                hint: "Create the parent directory, or correct pgraft.data_dir.");
        }
    }

    private static void MakePrivate(string path)
    {
        try
        {
            if ((File.GetUnixFileMode(path) & ~OwnerOnly) != 0)
            {
                File.SetUnixFileMode(path, OwnerOnly);
            }
        }
        catch (Exception e) when (StorageErrors.IsExpected(e))
        {
            throw new PgraftException(
                StatusCode.IoError,
                $"data directory \"{path}\" is open to others and its mode cannot be changed",
                e.Message,
                "Give the directory to the server's user with mode 0700.",
                e);
        }
    }

    private static SafeFileHandle TakeLock(string path)
    {
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(
                path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return Libc.TryLock(handle, path) ? handle : throw InUse(path);
        }
        catch (IOException e) when (e.HResult == ErrnoWouldBlock)
        {
            throw InUse(path);
        }
        catch (Exception e) when (StorageErrors.IsExpected(e))
        {
            throw StorageErrors.FromException(e, "open", path);
        }
        catch (PgraftException)
        {
            handle?.Dispose();
            throw;
        }
    }

    private static PgraftException InUse(string lockPath) => new(
        StatusCode.WrongState,
        $"data directory \"{System.IO.Path.GetDirectoryName(lockPath)}\" "
        + "is in use by another server",
        $"Another process holds the lock on \"{lockPath}\".",
        "Every member needs a pgraft.data_dir of its own.");

    private DirectoryStamp CheckStamp(string clusterId, int nodeId)
    {
        string path = System.IO.Path.Combine(Path, StampName);
        AtomicFile.TryDelete(_io, path + AtomicFile.TemporarySuffix);
        if (!_io.Exists(path))
        {
            RefuseForeignFiles(Path);
            MakeNameDurable();
            var fresh = new DirectoryStamp(clusterId, nodeId, Guid.NewGuid());
            AtomicFile.Write(_io, path, fresh.Encode());
            return fresh;
        }

        byte[] content = AtomicFile.Read(_io, path, DirectoryStamp.MaxBytes);
        DirectoryStamp stamp = DirectoryStamp.Decode(content, path);
        return stamp.ClusterId == clusterId && stamp.NodeId == nodeId
            ? stamp
            : throw NotOurs(stamp, clusterId, nodeId);
    }

    // It may have been made by a process that was killed before its name was durable; not in a
    // parent that this user may not read.
    private void MakeNameDurable()
    {
        string? parent = System.IO.Path.GetDirectoryName(Path);
        if (parent is not null && IsReadable(parent))
        {
            _io.SyncDirectory(parent);
        }
    }

    private static bool IsReadable(string directory)
    {
        try
        {
            using var entries = Directory.EnumerateFileSystemEntries(directory).GetEnumerator();
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    // A directory that holds files but no stamp was never ours, or has lost the proof that it is.
    private static void RefuseForeignFiles(string path)
    {
        foreach (string entry in EntriesOf(path))
        {
            string name = System.IO.Path.GetFileName(entry);
            bool harmless = name is LockName or "lost+found"
                || name.EndsWith(AtomicFile.TemporarySuffix, StringComparison.Ordinal)
                || name.StartsWith("pgraft.", StringComparison.Ordinal);
            if (!harmless)
            {
                throw new PgraftException(
                    StatusCode.WrongState,
                    $"directory \"{path}\" holds files but no pgraft stamp",
                    $"It contains \"{name}\".",
                    "Set pgraft.data_dir to an empty or missing directory.");
            }
        }
    }

    private static string[] EntriesOf(string path)
    {
        try
        {
            return Directory.GetFileSystemEntries(path);
        }
        catch (Exception e) when (StorageErrors.IsExpected(e))
        {
            throw StorageErrors.FromException(e, "read", path);
        }
    }

    private PgraftException NotOurs(DirectoryStamp stamp, string clusterId, int nodeId) => new(
        StatusCode.WrongState,
        $"data directory \"{Path}\" belongs to node {stamp.NodeId} "
        + $"of cluster \"{stamp.ClusterId}\"",
        $"This server is configured as node {nodeId} of cluster \"{clusterId}\".",
        "Correct pgraft.node_id or pgraft.cluster_id. If the directory was copied from another "
        + "server, remove it: a member must not start with another's vote.");
}
