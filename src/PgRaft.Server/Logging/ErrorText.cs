// An error as one line of prose, for the log and for the worker's published state, where message,
// detail and hint have no fields of their own.
// Threading: none needed. Failure: none.
using PgRaft.Core;

namespace PgRaft.Server.Logging;

internal static class ErrorText
{
    /// <summary>"message: detail. Hint", of which the last two may be missing; for an exception
    /// that nobody expected its type and message.</summary>
    public static string Of(Exception exception) => LogText.OneLine(
        exception is PgraftException error
            ? WithHint(
                error.Detail is null ? error.Message : $"{error.Message}: {error.Detail}", error)
            : $"{exception.GetType().Name}: {exception.Message}");

    private static string WithHint(string text, PgraftException error)
    {
        if (error.Hint is null)
            return text;
        return text.EndsWith('.') ? $"{text} {error.Hint}" : $"{text}. {error.Hint}";
    }
}
