// The three system calls that storage needs and the class library does not offer: fdatasync (fsync
// also journals time stamps: a second write per batch), sync of a directory, and a lock that no
// environment variable turns off. Blittable arguments only, so no unsafe code.
// Threading: stateless. Failure: PgraftException naming the file.
using System.Runtime.InteropServices;
using System.Text;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal static class Libc
{
    private const int OpenReadOnly = 0;
    private const int OpenCloseOnExec = 0x80000;
    private const int LockExclusive = 2;
    private const int LockNonBlocking = 4;
    private const int ErrnoWouldBlock = 11;

    internal static void SyncData(SafeHandle file, string path)
    {
        if (fdatasync(file) != 0)
        {
            throw Error("sync", path);
        }
    }

    internal static void SyncDirectory(string path)
    {
        int descriptor = open(Encoding.UTF8.GetBytes(path + '\0'), OpenReadOnly | OpenCloseOnExec);
        if (descriptor < 0)
        {
            throw Error("open directory", path);
        }

        try
        {
            if (fsync(descriptor) != 0)
            {
                throw Error("sync directory", path);
            }
        }
        finally
        {
            _ = close(descriptor);
        }
    }

    // False when another open file description holds the lock. The kernel drops it when the last
    // descriptor is closed, so a killed process leaves none behind.
    internal static bool TryLock(SafeHandle file, string path)
    {
        if (flock(file, LockExclusive | LockNonBlocking) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == ErrnoWouldBlock ? false : throw Error("lock", path);
    }

    private static PgraftException Error(string action, string path)
    {
        int errno = Marshal.GetLastPInvokeError();
        string reason = Marshal.GetPInvokeErrorMessage(errno);
        return StorageErrors.FromErrno(errno, action, path, reason);
    }

#pragma warning disable IDE1006, SYSLIB1054, CA5392 // C names; generated code is unsafe
    [DllImport("libc", SetLastError = true)]
    private static extern int fdatasync(SafeHandle descriptor);

    [DllImport("libc", SetLastError = true)]
    private static extern int fsync(int descriptor);

    [DllImport("libc", SetLastError = true)]
    private static extern int flock(SafeHandle descriptor, int operation);

    [DllImport("libc", SetLastError = true)]
    private static extern int open(byte[] path, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int close(int descriptor);
#pragma warning restore IDE1006, SYSLIB1054, CA5392
}
