// Threads for disks that hang: a sync that is held holds a thread of the pool, for as long as the
// test wants, and the pool would make up for it only after seconds.
using System.Runtime.CompilerServices;

namespace PgRaft.Consensus.Tests.Faults;

internal static class PoolThreads
{
#pragma warning disable CA2255 // this assembly is a program
    [ModuleInitializer]
    internal static void Raise()
    {
        ThreadPool.GetMinThreads(out _, out int io);
        ThreadPool.SetMinThreads(256, io);
    }
#pragma warning restore CA2255
}
