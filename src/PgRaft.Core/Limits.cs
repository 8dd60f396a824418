// Limits that every member must agree on. The upper bounds are part of the command and snapshot
// formats: a command beyond them is refused on every member alike, so changing one means a new
// format version. Threading: constants. Failure: none.
namespace PgRaft.Core;

/// <summary>Sizes that bound what enters the log and the state.</summary>
public static class Limits
{
    /// <summary>Shortest key, in bytes.</summary>
    public const int MinKeyBytes = 1;

    /// <summary>Longest key, in bytes.</summary>
    public const int MaxKeyBytes = 4096;

    /// <summary>Largest value accepted unless configured otherwise, in bytes (1536 kB).</summary>
    public const int DefaultMaxValueBytes = 1536 * 1024;

    /// <summary>Smallest setting of the largest accepted value, in bytes (1 kB).</summary>
    public const int LowerMaxValueBytes = 1024;

    /// <summary>Largest value or opaque entry that any member accepts, in bytes (16 MB).</summary>
    public const int UpperMaxValueBytes = 16 * 1024 * 1024;

    /// <summary>Largest encoded command, in bytes: the header of a put, the longest key and the
    /// largest value.</summary>
    public const int MaxCommandBytes =
        16 + Requests.RequestId.EncodedBytes + MaxKeyBytes + UpperMaxValueBytes;

    /// <summary>Sessions whose requests are remembered; beyond, the one that has applied nothing
    /// for longest is forgotten.</summary>
    public const int MaxSessions = 128;

    /// <summary>Requests of one session that can be under way at once.</summary>
    public const int MaxSlotsPerSession = 4096;

    /// <summary>Longest cluster id, in characters of <c>[A-Za-z0-9_.-]</c>.</summary>
    public const int MaxClusterIdLength = 64;

    /// <summary>Smallest node id.</summary>
    public const int MinNodeId = 1;

    /// <summary>Largest node id.</summary>
    public const int MaxNodeId = 65535;
}
