// The outcome of a request, as every layer names it. Mirrors PgraftStatusCode in
// shim/pgraft_abi.h; a test compares the two. Values only ever grow.
// Threading: constants. Failure: none.
namespace PgRaft.Core;

/// <summary>Outcome of a request or of applying a command; numerically equal to the C
/// contract's <c>PgraftStatusCode</c>.</summary>
public enum StatusCode
{
    /// <summary>Done.</summary>
    Ok = 0,

    /// <summary>This node is not the leader.</summary>
    NotLeader = 1,

    /// <summary>There is no leader or no quorum.</summary>
    NoLeader = 2,

    /// <summary>Certainly not done; safe to retry.</summary>
    NotDone = 3,

    /// <summary>May or may not have been done.</summary>
    OutcomeUnknown = 4,

    /// <summary>An argument is wrong; nothing was changed.</summary>
    BadArgument = 5,

    /// <summary>Larger than a limit allows.</summary>
    TooLarge = 6,

    /// <summary>Conflicts with the state the node is in, for example no cluster yet.</summary>
    WrongState = 7,

    /// <summary>The caller may not do this.</summary>
    NotAllowed = 8,

    /// <summary>A defect in the core.</summary>
    Internal = 9,

    /// <summary>Reading or writing storage failed.</summary>
    IoError = 10,

    /// <summary>Storage is full.</summary>
    DiskFull = 11,

    /// <summary>Shim and core were built from different contracts.</summary>
    AbiMismatch = 12,

    /// <summary>A wait or a read ended without a result; nothing was changed.</summary>
    TimedOut = 13,

    /// <summary>The node is stopping.</summary>
    Stopping = 14,

    /// <summary>Too many connections or requests.</summary>
    Busy = 15,

    /// <summary>The thing named does not exist.</summary>
    NotFound = 16,

    /// <summary>No log record is waiting.</summary>
    Empty = 17,

    /// <summary>The request goes on; its answer follows.</summary>
    Progress = 18,
}
