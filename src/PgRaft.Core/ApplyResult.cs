// What applying one command did. Threading: a value. Failure: none.
namespace PgRaft.Core;

/// <summary>Result of applying one command; the same on every member.</summary>
public readonly record struct ApplyResult
{
    /// <summary><see cref="StatusCode.Ok"/>, or <see cref="StatusCode.BadArgument"/> when the
    /// command changed nothing because it is malformed or asks for the impossible. For requests
    /// with an id also <see cref="StatusCode.NotDone"/>: fenced off, and no copy of it was or will
    /// be applied; and <see cref="StatusCode.NotFound"/>: not applied now, and whether an earlier
    /// copy was is no longer known.</summary>
    public required StatusCode Status { get; init; }

    /// <summary>The global revision after the command, at least 0.</summary>
    public required long Revision { get; init; }

    /// <summary>Log index at which the command took effect: that of its first copy.</summary>
    public long Index { get; init; }

    /// <summary>Whether a put or delete found the key alive.</summary>
    public bool Existed { get; init; }

    /// <summary>Whether a compare-and-set found what it expected, and set.</summary>
    public bool Matched { get; init; }
}
