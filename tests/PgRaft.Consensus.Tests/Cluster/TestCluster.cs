// Several members in one process, and ways to wait for what they should come to.
// Threading: used by one test at a time. Failure: a wait that is not met names what was waited for
// and shows every node's state.
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Faults;
using PgRaft.Core;

namespace PgRaft.Consensus.Tests.Cluster;

internal sealed class TestCluster : IAsyncDisposable
{
    public const int ElectionTimeoutMs = 300;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Never = TimeSpan.FromMilliseconds(300);
    private readonly string _directory =
        Directory.CreateTempSubdirectory("pgraft-test-").FullName;

    public TestCluster(ILoggerFactory? loggers = null)
    {
        Loggers = loggers ?? new LoggerFactoryForTests();
    }

    public string ClusterId { get; init; } = "test";

    public ILoggerFactory Loggers { get; }

    /// <summary>What lies between the members; null = nothing, they connect directly.</summary>
    public FaultyNetwork? Network { get; init; }

    /// <summary>Whether somebody else judges what ended a member. Otherwise stopping one that found
    /// an invariant broken fails the test, whatever it is about.</summary>
    public bool MayBreak { get; init; }

    /// <summary>Lower election timeout in ms; heartbeats ten times as often.</summary>
    public int ElectionTimeout { get; init; } = ElectionTimeoutMs;

    /// <summary>Replaced as a whole, so that others may look at it while members change.</summary>
    public IReadOnlyList<TestNode> Nodes { get; private set; } = [];

    public IReadOnlyList<MemberAddress> InitialCluster { get; private set; } = [];

    public RuntimeOptions Runtime { get; set; } = new()
    {
        SnapshotIntervalEntries = 10_000,
        MaxLogEntries = 1000,
        BatchSizeEntries = 100,
        MaxBatchDelayMs = 10,
        CompactionThresholdRevisions = 0,
    };

    public static CancellationToken Limit => new CancellationTokenSource(Deadline).Token;

    public TestNode this[int nodeId] => Nodes.Single(n => n.Address.NodeId == nodeId);

    /// <summary>What its nodes have logged of an event, the oldest first.</summary>
    public IReadOnlyList<string> Said(int eventId) =>
        ((LoggerFactoryForTests)Loggers).Of(eventId);

    /// <summary>The host name peers dial for a member.</summary>
    public string HostOf(int nodeId) =>
        Network is null ? "127.0.0.1" : Network.HostOf(nodeId);

    /// <summary>A cluster bootstrapped statically, with a leader.</summary>
    public static async Task<TestCluster> FoundAsync(int size, RuntimeOptions? runtime = null)
    {
        var cluster = new TestCluster();
        cluster.Runtime = runtime ?? cluster.Runtime;
        cluster.AddMany(size);
        await cluster.StartAllAsync();
        return cluster;
    }

    /// <summary>Founds the cluster of the nodes there are and waits for a leader.</summary>
    public async Task StartAllAsync()
    {
        InitialCluster = [.. Nodes.Select(n => n.Address)];
        await Task.WhenAll(Nodes.Select(n => n.StartAsync(Limit)));
        await LeaderAsync();
    }

    /// <summary>
    /// Sets the founding members, which may include some this cluster does not run.
    /// </summary>
    public void Found(IReadOnlyList<MemberAddress> members) => InitialCluster = members;

    /// <summary>Nodes 1 to <paramref name="count"/>.</summary>
    public void AddMany(int count)
    {
        for (int id = 1; id <= count; id++)
        {
            Add(id);
        }
    }

    public TestNode Add(int nodeId) => Add(new TestNode(this, nodeId, _directory));

    public TestNode Add(TestNode node)
    {
        Network?.Add(node.Address.NodeId);
        Nodes = [.. Nodes, node];
        return node;
    }

    /// <summary>A node that is not started and not among the nodes yet.</summary>
    public TestNode Prepare(
        int nodeId, IStorageIo io, TimeProvider clock, bool founding) =>
        new(this, nodeId, _directory)
        {
            Io = io,
            Clock = clock,
            InitialCluster = founding ? null : [],
        };

    /// <summary>Forgets a node that was stopped for good.</summary>
    public void Forget(TestNode node) => Nodes = [.. Nodes.Where(n => n != node)];

    public async Task<TestNode> LeaderAsync(TestNode? otherThan = null)
    {
        TestNode? leader = null;
        await UntilAsync(
            () =>
            {
                leader = Nodes.FirstOrDefault(
                    n => n.IsUp && n != otherThan && n.Node.Status.Role == NodeRole.Leader);
                return leader is not null;
            },
            "a leader");
        return leader!;
    }

    /// <summary>
    /// Puts through whoever leads until it is acknowledged: on a busy machine leaders change.
    /// </summary>
    public Task PutAsync(string key, string value) => UntilAsync(
        async () =>
        {
            try
            {
                await (await LeaderAsync()).PutAsync(key, value, Limit);
                return true;
            }
            catch (PgraftException e) when (e.Code is StatusCode.NotLeader or StatusCode.NotDone
                or StatusCode.OutcomeUnknown)
            {
                return false;
            }
        },
        $"a put of {key} to be acknowledged");

    /// <summary>Once all who are up know the same leader, and have promised it their vote.
    /// </summary>
    public async Task<(TestNode Leader, TestNode[] Followers)> RolesAsync()
    {
        TestNode leader = null!;
        await UntilAsync(
            async () =>
            {
                leader = await LeaderAsync();
                return Nodes.All(
                    n => !n.IsUp || n.Node.Status.LeaderId == leader.Address.NodeId);
            },
            "all to know the leader");
        return (leader, [.. Nodes.Where(n => n.IsUp && n != leader)]);
    }

    /// <summary>
    /// Waits until all running members have applied the same index, and compares their states.
    /// </summary>
    public async Task AgreeAsync()
    {
        var leader = await LeaderAsync();
        long index = leader.Node.Status.AppliedIndex;
        var up = Nodes.Where(n => n.IsUp).ToArray();
        await UntilAsync(
            () => up.All(n => n.Node.Status.AppliedIndex >= index)
                && up.Select(n => n.Node.Status.AppliedIndex).Distinct().Count() == 1,
            $"everybody to apply {index}");
        Xunit.Assert.Single(up.Select(n => n.Hash()).Distinct());
    }

    public Task UntilAsync(Func<bool> condition, string what) =>
        UntilAsync(() => Task.FromResult(condition()), what);

    public async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            if (clock.Elapsed > Deadline)
            {
                throw new TimeoutException($"Waited for {what} in vain. {Describe()}");
            }

            // A poll with a deadline: the conditions span nodes and have no common event.
            await Task.Delay(5);
        }
    }

    /// <summary>
    /// Fails if a condition comes true within a time in which it would if it could.
    /// </summary>
    public async Task NeverAsync(Func<bool> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Never)
        {
            Xunit.Assert.False(condition(), $"{what}. {Describe()}");
            await Task.Delay(5);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(Nodes.Select(n => n.StopAsync()));
        await DeleteDirectoryAsync();
    }

    // A start that was given up may still be making files.
    private async Task DeleteDirectoryAsync()
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                Directory.Delete(_directory, recursive: true);
                return;
            }
            catch (IOException) when (clock.Elapsed < TimeSpan.FromSeconds(10))
            {
                await Task.Delay(20);
            }
        }
    }

    private string Describe() => string.Join("; ", Nodes.Where(n => n.IsUp).Select(
        n => $"node {n.Address.NodeId}: {n.Node.Status}"))
        + "\n" + (Loggers as LoggerFactoryForTests)?.Text;
}
