// Asks one server, over a connection of its own, whether it holds the leader lease, all the time.
// Threading: one task. Failure: a server that is away is asked again when it is back.

using System.Globalization;
using Npgsql;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;

namespace PgRaft.Chaos.Checks;

internal sealed class LeaderPoller(ChaosCluster cluster, ChaosNode node, LeaseCheck check)
{
    // The term is read before and after: a lease that began in between has no certain term.
    private const string Query =
        "SELECT s.node_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, "
        + "pgraft_is_leader(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, "
        + "s.current_term, s.leader_id, pgraft_get_term() FROM pgraft_get_cluster_status() s";

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan AwayInterval = TimeSpan.FromMilliseconds(50);

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await TestServer.OpenAsync(ConnectionString());
                await SampleAsync(connection, stop);
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                // Not to spin while the server is away.
                await Task.Delay(AwayInterval, CancellationToken.None);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    // Longer than any freeze: what a frozen server answers when it is thawed counts.
    private string ConnectionString()
    {
        var settings = node.Server.ConnectionSettings;
        settings.CommandTimeout = 60;
        settings.CancellationTimeout = -1;
        return settings.ConnectionString;
    }

    private async Task SampleAsync(NpgsqlConnection connection, CancellationToken stop)
    {
        await using var command = new NpgsqlCommand(Query, connection);
        await command.PrepareAsync(stop);
        using var timer = new PeriodicTimer(Interval);
        while (await timer.WaitForNextTickAsync(stop))
        {
            await using var reader = await command.ExecuteReaderAsync(stop);
            while (await reader.ReadAsync(stop))
            {
                Note(reader);
            }
        }
    }

    private void Note(NpgsqlDataReader row)
    {
        var term = row.GetInt64(4);
        var sample = new LeaderSample(
            row.GetInt32(0),
            row.GetInt64(1),
            row.GetInt64(3),
            row.GetBoolean(2),
            term,
            Convert.ToInt64(row.GetValue(5), CultureInfo.InvariantCulture));
        if (row.GetInt64(6) == term && sample.NodeId != 0)
        {
            check.Add(sample);
        }

        if (sample.IsLeader)
        {
            cluster.NoteLeader(node.Slot);
        }
    }
}
