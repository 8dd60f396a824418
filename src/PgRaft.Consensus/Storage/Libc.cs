// The system calls that storage needs and the class library does not offer: fdatasync (fsync
// also journals time stamps: a second write per batch), sync of a directory, a lock that no
// environment variable turns off, an event that costs one call a side, and for files that a client
// names: creating one that must not be there, giving it a name that must not be there, and opening
// one that may be a pipe. Blittable arguments only, so no unsafe code.
// Threading: stateless. Failure: PgraftException naming the file.
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal static class Libc
{
    private const int OpenReadOnly = 0;
    private const int OpenReadWrite = 2;
    private const int OpenCreate = 0x40;
    private const int OpenExclusive = 0x80;
    private const int OpenNonBlocking = 0x800;
    private const int OpenCloseOnExec = 0x80000;
    private const int Mode0600 = 0x180;
    private const int CurrentDirectory = -100;
    private const uint RenameNoReplace = 1;
    private const int ErrnoInvalid = 22;
    private const int ErrnoNoSystemCall = 38;
    private const int LockExclusive = 2;
    private const int LockNonBlocking = 4;
    private const int ErrnoInterrupted = 4;
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

    // Fails where anything has the name, a dangling link included.
    internal static SafeFileHandle CreateNew(string path) => Opened(
        path, OpenReadWrite | OpenCreate | OpenExclusive | OpenCloseOnExec, "create");

    // Does not wait for the other end of a pipe.
    internal static SafeFileHandle OpenForeign(string path) =>
        Opened(path, OpenReadOnly | OpenNonBlocking | OpenCloseOnExec, "open");

    // Atomic, and fails where anything has the new name. A file system that cannot do it in one
    // step (NFS) gets two: a crash in between leaves both names.
    internal static void RenameNew(string source, string target)
    {
        byte[] from = Encoding.UTF8.GetBytes(source + '\0');
        byte[] to = Encoding.UTF8.GetBytes(target + '\0');
        if (renameat2(CurrentDirectory, from, CurrentDirectory, to, RenameNoReplace) == 0)
        {
            return;
        }

        bool inTwoSteps = Marshal.GetLastPInvokeError() is ErrnoInvalid or ErrnoNoSystemCall;
        if (!inTwoSteps || link(from, to) != 0 || unlink(from) != 0)
        {
            throw ClientError("create", target);
        }
    }

    private static SafeFileHandle Opened(string path, int flags, string action)
    {
        int descriptor = open(Encoding.UTF8.GetBytes(path + '\0'), flags, Mode0600);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw ClientError(action, path);
    }

    private static PgraftException ClientError(string action, string path)
    {
        int errno = Marshal.GetLastPInvokeError();
        string reason = Marshal.GetPInvokeErrorMessage(errno);
        return StorageErrors.OfClientsFile(errno, action, path, reason);
    }

    internal static SafeFileHandle NewEvent()
    {
        int descriptor = eventfd(0, OpenCloseOnExec);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw Error("create", "eventfd");
    }

    internal static void SetEvent(SafeHandle descriptor)
    {
        ulong one = 1;
        if (write(descriptor, ref one, sizeof(ulong)) < 0)
        {
            throw Error("write", "eventfd");
        }
    }

    // Returns once the event was set since the last call; or earlier, when a signal arrived.
    internal static void WaitEvent(SafeHandle descriptor)
    {
        ulong count = 0;
        if (read(descriptor, ref count, sizeof(ulong)) < 0
            && Marshal.GetLastPInvokeError() != ErrnoInterrupted)
        {
            throw Error("read", "eventfd");
        }
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

    // Variadic in C: the mode travels like any other argument on the machines we build for.
    [DllImport("libc", SetLastError = true)]
    private static extern int open(byte[] path, int flags, int mode);

    [DllImport("libc", SetLastError = true)]
    private static extern int renameat2(
        int sourceDirectory, byte[] source, int targetDirectory, byte[] target, uint flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int link(byte[] source, byte[] target);

    [DllImport("libc", SetLastError = true)]
    private static extern int unlink(byte[] path);

    [DllImport("libc", SetLastError = true)]
    private static extern int close(int descriptor);

    [DllImport("libc", SetLastError = true)]
    private static extern int eventfd(uint value, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern nint read(SafeHandle descriptor, ref ulong value, nint bytes);

    [DllImport("libc", SetLastError = true)]
    private static extern nint write(SafeHandle descriptor, ref ulong value, nint bytes);
#pragma warning restore IDE1006, SYSLIB1054, CA5392
}
