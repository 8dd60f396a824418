// Wakes the worker's main thread through its eventfd. Threading: any thread; one system call.
// Failure: a write that fails is given up: the main thread also wakes by itself.
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
