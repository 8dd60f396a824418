// One seeded run: clients read and write while the network and the members misbehave; then all
// is healed, progress is demanded, and what happened is checked.
//
// The order of events depends on the machine as well as on the seed, so a seed replays the plan of
// faults, not the run to the last interleaving.
// Threading: clients, nemesis and watcher are tasks of their own. Failure: a Violation names what
// broke; the seed is in the test's name.
using System.Diagnostics;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Histories;
using PgRaft.Core;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FaultRun(int seed, int size, TimeSpan duration) : IAsyncDisposable
{
    private const int Clients = 6;
    private const int Keys = 3;
    private static readonly TimeSpan OperationLimit = TimeSpan.FromMilliseconds(500);
    private readonly FaultyNetwork _network = new();
    private readonly Random _random = new(seed);
    private readonly CancellationTokenSource _faultsEnd = new();
    private TestCluster _cluster = null!;
    private int _lastValue;

    /// <summary>Negative control: reads are answered from local state.</summary>
    public bool ReadStale { get; init; }

    public History History { get; } = new();

    public LeadershipWatcher Watcher { get; private set; } = null!;

    public int Faults { get; private set; }

    public async Task ExecuteAsync()
    {
        var runtime = new TestCluster().Runtime with
        {
            SnapshotIntervalEntries = 200,
            MaxLogEntries = 20,
        };
        _cluster = await TestCluster.FoundAsync(size, runtime, _network);
        Watcher = new LeadershipWatcher(_cluster);
        var clients = Enumerable.Range(0, Clients).Select(ClientAsync).ToArray();
        await MisbehaveAsync();
        await _faultsEnd.CancelAsync();
        await Task.WhenAll(clients);
        await RecoverAsync();
        await Watcher.DisposeAsync();
    }

    public CheckResult Check() =>
        RegisterChecker.Check(History.Operations, TimeSpan.FromSeconds(60));

    public async ValueTask DisposeAsync()
    {
        _faultsEnd.Dispose();
        await _cluster.DisposeAsync();
        await _network.DisposeAsync();
    }

    // Safety first, then liveness: healed, the cluster must serve again and agree with itself.
    private async Task RecoverAsync()
    {
        _network.Heal();
        foreach (var node in _cluster.Nodes.Where(n => !n.IsUp))
        {
            await node.StartAsync(TestCluster.Limit);
        }

        await _cluster.UntilAsync(
            async () =>
            {
                var leader = await _cluster.LeaderAsync();
                return await PutAsync(Clients, leader, "k0") == Outcome.Ok;
            },
            "a write after everything was healed");
        await _cluster.AgreeAsync();
    }

    private async Task MisbehaveAsync()
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < duration)
        {
            await DoSomethingBadAsync();
            Faults++;

            // The fault lasts; nothing is waited for.
            await Task.Delay(_random.Next(100, 700));
            if (_random.Next(3) > 0)
            {
                _network.Heal();
            }
        }
    }

    private async Task DoSomethingBadAsync()
    {
        int one = _random.Next(1, size + 1);
        int other = (one % size) + 1;
        switch (_random.Next(6))
        {
            case 0:
                Isolate(one);
                break;
            case 1:
                _network.Cut(one, other);
                break;
            case 2:
                // There may be none while a majority is cut off: then another fault is as good.
                Isolate(_cluster.Nodes.FirstOrDefault(Leads)?.Address.NodeId ?? other);
                break;
            case 3:
                DelayAll(TimeSpan.FromMilliseconds(_random.Next(5, 60)));
                break;
            case 4:
                await RestartAsync(_cluster[one]);
                break;
            default:
                Isolate(one);
                _network.Heal();
                _network.Cut(other, one);
                break;
        }
    }

    private void Isolate(int nodeId)
    {
        foreach (int peer in Enumerable.Range(1, size).Where(p => p != nodeId))
        {
            _network.Cut(nodeId, peer);
            _network.Cut(peer, nodeId);
        }
    }

    private void DelayAll(TimeSpan delay)
    {
        foreach (int from in Enumerable.Range(1, size))
        {
            foreach (int to in Enumerable.Range(1, size))
            {
                _network.Delay(from, to, delay);
            }
        }
    }

    private static async Task RestartAsync(TestNode node)
    {
        await node.StopAsync();
        await node.StartAsync(TestCluster.Limit);
    }

    private async Task ClientAsync(int client)
    {
        var random = new Random((seed * 1000) + client);
        while (!_faultsEnd.IsCancellationRequested)
        {
            var nodes = _cluster.Nodes.Where(n => n.IsUp).ToArray();
            var target = nodes.FirstOrDefault(n => random.Next(4) > 0 && Leads(n))
                ?? nodes[random.Next(nodes.Length)];
            string key = $"k{random.Next(Keys)}";
            if (random.Next(2) == 0)
            {
                await PutAsync(client, target, key);
            }
            else
            {
                await GetAsync(client, target, key);
            }

            // Clients are people, not a load test: the checker's work grows with their haste.
            await Task.Delay(random.Next(1, 8));
        }
    }

    private static bool Leads(TestNode node)
    {
        try
        {
            return node.Node.Status.Role == NodeRole.Leader;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private async Task<Outcome> PutAsync(int client, TestNode target, string key)
    {
        string value = $"{Interlocked.Increment(ref _lastValue)}";
        long call = Stopwatch.GetTimestamp();
        Outcome outcome;
        try
        {
            using var limit = new CancellationTokenSource(OperationLimit);
            await target.PutAsync(key, value, limit.Token);
            outcome = Outcome.Ok;
        }
        catch (PgraftException e)
        {
            outcome = e.Code is StatusCode.NotLeader or StatusCode.NotDone or StatusCode.NoLeader
                ? Outcome.Failed
                : Outcome.Unknown;
        }
        catch (Exception e) when (e is InvalidOperationException or ObjectDisposedException)
        {
            // Stopped under the client's hands: it may have gone out.
            outcome = Outcome.Unknown;
        }

        History.Add(new Operation(
            client, OperationKind.Put, key, value, call, Stopwatch.GetTimestamp(), outcome));
        return outcome;
    }

    private async Task GetAsync(int client, TestNode target, string key)
    {
        long call = Stopwatch.GetTimestamp();
        try
        {
            using var limit = new CancellationTokenSource(OperationLimit);
            string? value = await target.ReadAsync(key, barrier: !ReadStale, limit.Token);
            History.Add(new Operation(
                client, OperationKind.Get, key, value, call, Stopwatch.GetTimestamp(), Outcome.Ok));
        }
        catch (Exception e) when (e is PgraftException or InvalidOperationException
            or ObjectDisposedException)
        {
            // A read that was not answered tells nothing.
        }
    }
}
