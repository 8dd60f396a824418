// The one exception that carries a status to the client. Everything that reaches SQL as an error
// is one of these; anything else is a defect and becomes StatusCode.Internal at the boundary.
// Threading: immutable. Failure: none.
namespace PgRaft.Core;

/// <summary>An expected failure, with the texts PostgreSQL shows to the user.</summary>
public sealed class PgraftException : Exception
{
    /// <summary>Creates the failure.</summary>
    /// <param name="code">What happened; never <see cref="StatusCode.Ok"/>.</param>
    /// <param name="message">One line, without the <c>pgraft:</c> prefix: the shim adds it.</param>
    /// <param name="detail">More facts, or null.</param>
    /// <param name="hint">What to do about it, or null.</param>
    /// <param name="inner">The cause, or null; never shown to the client.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="code"/> is
    /// <see cref="StatusCode.Ok"/>.</exception>
    public PgraftException(
        StatusCode code,
        string message,
        string? detail = null,
        string? hint = null,
        Exception? inner = null)
        : base(message, inner)
    {
        ArgumentOutOfRangeException.ThrowIfEqual((int)code, (int)StatusCode.Ok, nameof(code));
        Code = code;
        Detail = detail;
        Hint = hint;
    }

    /// <summary>What happened.</summary>
    public StatusCode Code { get; }

    /// <summary>More facts, or null.</summary>
    public string? Detail { get; }

    /// <summary>What to do about it, or null.</summary>
    public string? Hint { get; }
}
