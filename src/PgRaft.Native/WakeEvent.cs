// Wakes the worker's main thread through its eventfd. Threading: any thread; one system call.
// The main thread waits without a timeout: nothing else would make up for a lost write.
// Failure: an interrupted write is repeated. A full counter needs no other write, because it has
// not been read yet; the descriptor itself is open for the life of the process.
using System.Runtime.InteropServices;

namespace PgRaft.Native;

internal sealed unsafe partial class WakeEvent(int descriptor)
{
    private const int Interrupted = 4;

    public void Signal()
    {
        ulong one = 1;
        while (Write(descriptor, &one, sizeof(ulong)) < 0
            && Marshal.GetLastPInvokeError() == Interrupted)
        {
            // A signal came between; nothing was written.
        }
    }

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, void* bytes, nuint count);
}
