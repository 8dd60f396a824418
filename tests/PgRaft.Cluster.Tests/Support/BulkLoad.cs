// Fills a cluster with a state of a wanted size through SQL, as fast as a few dozen sessions can.
//
// Threading: each session is a task with its own connection. Failure: the first error is thrown;
// what was put by then stays.

using Npgsql;

namespace PgRaft.Cluster.Tests.Support;

internal static class BulkLoad
{
    private const int Sessions = 32;

    /// <summary>Puts keys bulk/1 to bulk/N, each with a value of so many bytes that begins with
    /// the key's number.</summary>
    public static Task PutAsync(TestServer server, int keys, int valueBytes)
    {
        var share = (keys + Sessions - 1) / Sessions;
        return Task.WhenAll(Enumerable.Range(0, Sessions).Select(session => PutRangeAsync(
            server, (session * share) + 1, Math.Min(keys, (session + 1) * share), valueBytes)));
    }

    private static async Task PutRangeAsync(TestServer server, int first, int last, int valueBytes)
    {
        await using NpgsqlConnection connection = await server.OpenAsync();
        await connection.ExecuteAsync("SET pgraft.request_timeout = '60s'");
        const int Portion = 200;
        for (var from = first; from <= last; from += Portion)
        {
            var count = await connection.ScalarAsync<long>(
                "SELECT count(*) FILTER "
                + "(WHERE pgraft_kv_put('bulk/' || i, rpad(i || ' ', $3, 'v'))) "
                + "FROM generate_series($1, $2) i",
                from, Math.Min(last, from + Portion - 1), valueBytes);
            Assert.Equal(Math.Min(last, from + Portion - 1) - from + 1, count);
        }
    }
}
