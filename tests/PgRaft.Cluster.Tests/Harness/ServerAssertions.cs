// What tests assert of a server. Threading: no state. Failure: the test's.

using Npgsql;

namespace PgRaft.Cluster.Tests.Harness;

internal static class ServerAssertions
{
    /// <summary>The error a statement ends with; fails the test when there is none.</summary>
    public static Task<PostgresException> ErrorOfAsync(this TestServer server, string sql)
    {
        return Assert.ThrowsAsync<PostgresException>(() => server.ExecuteAsync(sql));
    }
}
