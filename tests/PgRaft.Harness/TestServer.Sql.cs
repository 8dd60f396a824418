// SQL on a test server. Every call opens its own connection, so that it sees the server as it is
// now, unless it is given one.
//
// Threading: any number of calls at once. Failure: Npgsql's exceptions go to the caller.

using Npgsql;

namespace PgRaft.Harness;

public sealed partial class TestServer
{
    /// <summary>How to connect, for callers with time limits of their own.</summary>
    internal NpgsqlConnectionStringBuilder ConnectionSettings => new()
    {
        Host = Place.Address,
        Port = Port,
        Username = TestRun.SuperUser,
        Database = "postgres",
        Pooling = false,
        Timeout = 10,
        CommandTimeout = 60,
        SslMode = SslMode.Disable,
        GssEncryptionMode = GssEncryptionMode.Disable,
        IncludeErrorDetail = true,
    };

    public Task<NpgsqlConnection> OpenAsync()
    {
        return OpenAsync(ConnectionSettings.ConnectionString);
    }

    internal static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(connectionString);
        try
        {
            await connection.OpenAsync();
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public async Task<T> ScalarAsync<T>(string sql, params object[] arguments)
    {
        await using var connection = await OpenAsync();
        return await connection.ScalarAsync<T>(sql, arguments);
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var connection = await OpenAsync();
        await connection.ExecuteAsync(sql);
    }

    public Task<string> WorkerStateAsync()
    {
        return ScalarAsync<string>("SELECT pgraft_get_worker_state()");
    }

    /// <summary>The Raft role as pgraft_get_cluster_status shows it.</summary>
    public Task<string> RoleAsync()
    {
        return ScalarAsync<string>("SELECT state FROM pgraft_get_cluster_status()");
    }

    public Task<long> LeaderAsync()
    {
        return ScalarAsync<long>("SELECT pgraft_get_leader()");
    }

    public Task<bool> PutAsync(string key, string value)
    {
        return ScalarAsync<bool>("SELECT pgraft_kv_put($1, $2)", key, value);
    }

    public Task<string?> GetAsync(string key, string consistency = "linearizable")
    {
        return ScalarAsync<string?>("SELECT pgraft_kv_get($1, $2)", key, consistency);
    }

    public Task WaitForStateAsync(string state, TimeSpan? deadline = null)
    {
        return Poll.UntilAsync(
            $"worker of node {NodeId} is {state}", WorkerStateAsync, s => s == state, deadline);
    }

    public Task WaitForLogAsync(string pattern)
    {
        return Poll.UntilAsync(
            $"log of node {NodeId} says /{pattern}/",
            () => System.Text.RegularExpressions.Regex.IsMatch(Log(), pattern));
    }
}
