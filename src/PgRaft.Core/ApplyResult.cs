// What applying one command did. Threading: a value. Failure: none.
namespace PgRaft.Core;

/// <summary>Result of applying one command; the same on every member.</summary>
public readonly record struct ApplyResult
{
    /// <summary><see cref="StatusCode.Ok"/>, or <see cref="StatusCode.BadArgument"/> when the
    /// command changed nothing because it is malformed or asks for the impossible.</summary>
    public required StatusCode Status { get; init; }

    /// <summary>The global revision after the command, at least 0.</summary>
    public required long Revision { get; init; }

    /// <summary>Whether a put or delete found the key alive.</summary>
    public bool Existed { get; init; }
}
