// Leadership that does not rest: it is handed from member to member while clients are at work and
// another fault may hit whom it will. Not a fault by itself, so nobody is claimed and writes must
// go on. Threading and failure: as the base class; a transfer that is refused or fails is as good
// as another.

using Npgsql;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;

namespace PgRaft.Chaos.Faults;

internal sealed class RestlessLeadership(FaultContext context) : Fault(context), IDisposable
{
    private const int LongestRestMs = 400;
    private const int CallSeconds = 5;

    private readonly CancellationTokenSource _healed = new();
    private Random _random = new(0);
    private Task _moving = Task.CompletedTask;

    public override bool TryChoose()
    {
        _random = new Random(Random.Next());
        Description = "leadership is handed around";
        return true;
    }

    public override Task InjectAsync()
    {
        _moving = Task.Run(MoveAroundAsync);
        return Task.CompletedTask;
    }

    public override async Task HealAsync()
    {
        await _healed.CancelAsync();
        await _moving;
        Dispose();
    }

    public void Dispose()
    {
        _healed.Dispose();
    }

    private async Task MoveAroundAsync()
    {
        while (!_healed.IsCancellationRequested)
        {
            if (Cluster.Leader is { Claimed: false } leader)
            {
                await TryMoveAsync(leader);
            }

            // The interval between two transfers; nothing is waited for.
            await Task.Delay(_random.Next(LongestRestMs), CancellationToken.None);
        }
    }

    // To whoever is best, or to any other, which may be down or cut off.
    private async Task TryMoveAsync(ChaosNode leader)
    {
        var others = Cluster.Nodes.Where(n => n != leader).ToArray();
        var target = _random.Next(3) == 0 ? null : others[_random.Next(others.Length)];
        try
        {
            var settings = leader.Server.ConnectionSettings;
            settings.Timeout = settings.CommandTimeout = CallSeconds;
            await using var connection = await TestServer.OpenAsync(settings.ConnectionString);
            await using var command = new NpgsqlCommand(
                "SELECT pgraft_transfer_leadership($1)", connection);
            command.Parameters.Add(
                new NpgsqlParameter<int?> { TypedValue = target?.Server.NodeId });
            await command.ExecuteNonQueryAsync(CancellationToken.None);
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
        {
            // Not the leader any more, gone, or the other did not take it.
        }
    }
}
