// Refuses keys and values that are too long before they enter the log.
// Threading: pure. Failure: PgraftException, BadArgument or TooLarge with limit and size.
using System.Globalization;

using PgRaft.Core;

namespace PgRaft.Server.Requests;

internal static class RequestLimits
{
    public static void CheckKey(ReadOnlySpan<byte> key)
    {
        if (key.Length < Limits.MinKeyBytes)
            throw new PgraftException(StatusCode.BadArgument, "key must not be empty");
        if (key.Length > Limits.MaxKeyBytes)
            throw TooLarge("key", key.Length, Limits.MaxKeyBytes, null);
    }

    public static void CheckValue(string what, int length, int limit)
    {
        if (length > limit)
            throw TooLarge(what, length, limit, "The limit is pgraft.max_value_size.");
    }

    private static PgraftException TooLarge(
        string what, int length, int limit, string? hint) => new(
        StatusCode.TooLarge,
        $"{what} is too large",
        string.Create(
            CultureInfo.InvariantCulture, $"It has {length} bytes; the limit is {limit} bytes."),
        hint);
}
