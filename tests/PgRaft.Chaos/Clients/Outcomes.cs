// What is known of a call after it has ended, by its SQLSTATE, as docs/sql.md promises it.
// Threading: no state. Failure: what is not promised is unknown.

using Npgsql;
using PgRaft.Histories;

namespace PgRaft.Chaos.Clients;

internal static class Outcomes
{
    // Certainly not done, and never will be.
    private static readonly HashSet<string> NotDone =
        ["40001", "55000", "57P03", "22023", "54000", "53300", "42501"];

    // No fault of the world around makes these right: wrong calls, or an internal error.
    private static readonly string[] NeverRight = ["XX", "22", "42", "54", "0A"];

    public static Outcome Of(Exception failure)
    {
        return failure is PostgresException p && NotDone.Contains(p.SqlState)
            ? Outcome.Failed
            : Outcome.Unknown;
    }

    /// <summary>A short name of how a call failed, to be counted.</summary>
    public static string NameOf(Exception failure)
    {
        return failure is PostgresException p ? p.SqlState : "connection lost";
    }

    /// <summary>Whether the clients' calls can never rightly end so.</summary>
    public static bool IsDefect(Exception failure)
    {
        return failure is PostgresException p
            && NeverRight.Any(c => p.SqlState.StartsWith(c, StringComparison.Ordinal));
    }

    /// <summary>Whether this is how a call to a server can fail.</summary>
    public static bool IsExpected(Exception failure)
    {
        return failure is NpgsqlException or IOException or TimeoutException;
    }
}
