// Sizes and tags of the request protocol; docs/protocol.md has the layouts. Mirrors PgraftValueTag
// and PGRAFT_MAX_FRAME_BYTES of shim/pgraft_abi.h; a test compares them.
// Threading: constants. Failure: none.
namespace PgRaft.Server.Protocol;

internal enum ValueTag : byte
{
    Null = 0,
    Bool = 1,
    Int32 = 2,
    Int64 = 3,
    Text = 4,
}

internal static class Wire
{
    /// <summary>Largest body that either side accepts, in bytes.</summary>
    public const int MaxFrameBytes = 64 * 1024 * 1024;

    /// <summary>The length word in front of a body.</summary>
    public const int LengthBytes = 4;

    /// <summary>Header of a request's or a response's body; both have the same size.</summary>
    public const int HeaderBytes = 16;

    /// <summary>Shortest timeout a request may carry; shorter ones are raised to it.</summary>
    public const int MinTimeoutMs = 1;

    /// <summary>Longest timeout a request may carry; longer ones are cut to it.</summary>
    public const int MaxTimeoutMs = 600_000;

    public const string SocketName = "pgraft.sock";
}
