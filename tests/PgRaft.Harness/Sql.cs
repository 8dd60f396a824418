// Short forms of Npgsql for tests. Threading: as NpgsqlConnection, one command at a time.

using Npgsql;

namespace PgRaft.Harness;

internal static class Sql
{
    public static async Task<T> ScalarAsync<T>(
        this NpgsqlConnection connection, string sql, params object[] arguments)
    {
        await using var command = connection.Make(sql, arguments);
        var value = await command.ExecuteScalarAsync();
        return value is null or DBNull ? default! : (T)value;
    }

    public static async Task ExecuteAsync(this NpgsqlConnection connection, string sql)
    {
        await using var command = connection.Make(sql, []);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>When the postmaster started.</summary>
    public static Task<DateTime> ServerStartAsync(this NpgsqlConnection connection)
    {
        return connection.ScalarAsync<DateTime>("SELECT pg_postmaster_start_time()");
    }

    /// <summary>All rows of a query, their columns as text joined by a bar.</summary>
    public static async Task<IReadOnlyList<string>> RowsAsync(
        this TestServer server, string sql)
    {
        await using var connection = await server.OpenAsync();
        await using var command = connection.Make(sql, []);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<string>();
        while (await reader.ReadAsync())
        {
            var values = new object[reader.FieldCount];
            reader.GetValues(values);
            rows.Add(string.Join('|', values));
        }

        return rows;
    }

    // The texts are the tests' own; values travel as parameters.
#pragma warning disable CA2100
    private static NpgsqlCommand Make(
        this NpgsqlConnection connection, string sql, object[] arguments)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var argument in arguments)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = argument });
        }

        return command;
    }
#pragma warning restore CA2100
}
