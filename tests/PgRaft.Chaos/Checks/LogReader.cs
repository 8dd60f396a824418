// Reads the applied entries of one member's log as they come, for the audit.
// Threading: one task a member. Failure: a member that is away is read when it is back; entries
// that it has compacted before they were read are left to the other members.

using Npgsql;
using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Checks;

internal sealed class LogReader(ChaosNode node, LogAudit audit)
{
    private const int EntriesAtOnce = 200;
    private const string Extent =
        "SELECT first_index, last_applied FROM pgraft_log_get_stats()";

    private const string Entries =
        "SELECT i, pgraft_log_get_entry(i) FROM generate_series($1::bigint, $2::bigint) i";

    private static readonly TimeSpan IdleInterval = TimeSpan.FromMilliseconds(100);

    private int _nodeId;
    private long _next = 1;
    private long _first;

    /// <summary>First index that the member still has, as last seen.</summary>
    public long First => Volatile.Read(ref _first);

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await node.Server.OpenAsync();
                while (!stop.IsCancellationRequested)
                {
                    if (!await ReadAsync(connection))
                    {
                        await Task.Delay(IdleInterval, CancellationToken.None);
                    }
                }
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                // Away, or an entry was compacted between the two questions.
                await Task.Delay(IdleInterval, CancellationToken.None);
            }
        }
    }

    // Whether there was anything to read.
    private async Task<bool> ReadAsync(NpgsqlConnection connection)
    {
        if (_nodeId != node.Server.NodeId)
        {
            // Another node with a log of its own; the latest part is enough to compare.
            _nodeId = node.Server.NodeId;
            _next = Math.Max(1, audit.Covered - EntriesAtOnce);
        }

        var (first, applied) = await ExtentAsync(connection);
        Volatile.Write(ref _first, first);
        _next = Math.Max(_next, first);
        var last = Math.Min(applied, _next + EntriesAtOnce - 1);
        if (last < _next)
        {
            return false;
        }

        await using var command = new NpgsqlCommand(Entries, connection);
        command.Parameters.Add(new NpgsqlParameter { Value = _next });
        command.Parameters.Add(new NpgsqlParameter { Value = last });
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            audit.Observe(node.Name, reader.GetInt64(0), reader.GetString(1));
            _next = reader.GetInt64(0) + 1;
        }

        return true;
    }

    private static async Task<(long First, long Applied)> ExtentAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(Extent, connection);
        await using var reader = await command.ExecuteReaderAsync();
        return await reader.ReadAsync()
            ? (reader.GetInt64(0), reader.GetInt64(1))
            : throw new TimeoutException("no extent");
    }
}
