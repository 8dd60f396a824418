// The life of the worker. Mirrors PgraftWorkerState in shim/pgraft_abi.h; a test compares the two.
// Threading: constants. Failure: none.
namespace PgRaft.Server.Hosting;

internal enum WorkerState
{
    Stopped = 0,
    Starting = 1,

    /// <summary>Runs, but holds no configuration yet.</summary>
    Waiting = 2,
    Running = 3,

    /// <summary>Failed for good; the error text says why.</summary>
    Error = 4,

    /// <summary>Runs, but is not a member any more.</summary>
    Removed = 5,
}
