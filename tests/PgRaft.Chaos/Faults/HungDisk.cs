// A disk that hangs: the server's syncs do not return and report no error, and its network is
// whole, so that nothing but its own watch can tell it. The others must go on without it.
//
// Threading and failure: as the base class; no write in time, with a majority healthy, is a
// violation.

using Npgsql;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;

namespace PgRaft.Chaos.Faults;

internal sealed class HungDisk(FaultContext context) : NodeFault(context)
{
    // A leader gives up after two election timeouts, here of a second; then another is elected.
    private static readonly TimeSpan TakeoverLimit = TimeSpan.FromSeconds(15);

    public override async Task InjectAsync()
    {
        Node.Preload!.HangSyncs(true);
        var began = System.Diagnostics.Stopwatch.StartNew();
        while (Cluster.MajorityIsHealthy() && !await TryWriteAsync())
        {
            if (began.Elapsed > TakeoverLimit)
            {
                Findings.Violation(
                    $"no write within {TakeoverLimit} while the disk of {Node.Name} hung");
                return;
            }
        }

        Findings.Event(FormattableString.Invariant(
            $"a write after {began.Elapsed.TotalSeconds:F1} s with a hung disk"));
    }

    public override Task HealAsync()
    {
        Node.Preload!.HangSyncs(false);
        return Node.RunningAsync();
    }

    protected override bool Fits(ChaosNode node)
    {
        return node.Preload is not null;
    }

    private async Task<bool> TryWriteAsync()
    {
        var others = Cluster.Nodes.Where(n => !n.Claimed).ToArray();
        try
        {
            await using var connection =
                await others[Random.Shared.Next(others.Length)].Server.OpenAsync();
            await connection.ExecuteAsync("SET pgraft.request_timeout = '1s'");
            return await connection.ScalarAsync<bool>("SELECT pgraft_kv_put('hung', 'v')");
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
        {
            // There is no leader yet, or the one that does not know.
            return false;
        }
    }
}
