// An EngineLog over real files, with a gate in front of every sync.
// Threading: one test. Failure: errors reach the test.
using DotNext.IO.Log;
using DotNext.Net.Cluster.Consensus.Raft;
using Microsoft.Extensions.Logging.Abstractions;
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;

namespace PgRaft.Consensus.Tests.Guards;

internal sealed class LogFixture : IAsyncDisposable, IMemberHost
{
    private readonly string _directory = Directory.CreateTempSubdirectory("pgraft-log-").FullName;
    private readonly SegmentedLog _records;
    private readonly SnapshotStore _snapshots;
    private readonly Applier _applier;

    public LogFixture(int segmentBytes = LogOptions.DefaultSegmentBytes)
    {
        Pacer = new RoundPacer(() => Runtime.MaxBatchDelayMs, RoundClock);
        var terms = TermStore.Open(_directory);
        _snapshots = SnapshotStore.Open(_directory, SnapshotGate);
        var options = new LogOptions
        {
            Directory = Path.Combine(_directory, "log"),
            SegmentBytes = segmentBytes,
            Io = Gate,
        };
        _records = SegmentedLog.Open(options, 0, 0);
        _applier = new Applier(
            Machine, _records, _snapshots, Configurations, () => Runtime, NullLogger.Instance,
            e => Failure = e);
        Log = new EngineLog(
            Path.Combine(_directory, "engine"), _records, terms, _snapshots, Configurations,
            _applier)
        {
            Pacer = Pacer,
        };
        _applier.Start();
    }

    /// <summary>In front of the log's syncs.</summary>
    public GatedIo Gate { get; } = new();

    /// <summary>In front of the snapshots' syncs.</summary>
    public GatedIo SnapshotGate { get; } = new();

    /// <summary>Of its rounds, which take as long as its clock says.</summary>
    public RoundPacer Pacer { get; }

    /// <summary>What rounds take.</summary>
    public StillClock RoundClock { get; } = new();

    public string Location => _directory;

    public StateMachine Machine { get; } = new();

    public SnapshotStore Snapshots => _snapshots;

    public Applier Applier => _applier;

    public ConfigurationHistory Configurations { get; } = new(0, Configuration.Empty);

    public EngineLog Log { get; }

    public Exception? Failure { get; private set; }

    public IPersistentState Engine => Log;

    public List<long> Acknowledged { get; } = [];

    public List<(long Index, int Teller)> Removals { get; } = [];

    public int Nudges { get; private set; }

    public int ElectionTimeoutMs { get; init; } = 400;

    public int BatchSizeEntries => 100;

    public TimeProvider Clock => TimeProvider.System;

    public RuntimeOptions Runtime { get; set; } = new()
    {
        SnapshotIntervalEntries = 1000,
        MaxLogEntries = 1000,
        BatchSizeEntries = 100,
        MaxBatchDelayMs = 10,
        CompactionThresholdRevisions = 0,
    };

    public static LogRecord Record(long index, long term, byte content = 0) =>
        new(index, term, EntryKind.Command, new byte[] { content });

    /// <summary>Appends as a follower does.</summary>
    public ValueTask ReceiveAsync(params LogRecord[] records) =>
        ((IAuditTrail<IRaftLogEntry>)Log).AppendAsync(
            new ReceivedEntries(records), records[0].Index, skipCommitted: true);

    /// <summary>The term whose leader lets this node stand.</summary>
    public long ConsentTerm { get; set; }

    public bool MayStandEarly(long term) => term != 0 && term == ConsentTerm;

    /// <summary>Whether every member is a voter.</summary>
    public bool HasVoters { get; set; } = true;

    public bool IsVoter(int nodeId) => HasVoters;

    public Ballots Ballots { get; } = new(() => 3);

    public void Balloted()
    {
    }

    public void LeaderAcknowledged(long term) => Acknowledged.Add(term);

    public void ReplicateAgain() => Nudges++;

    public void HeartbeatSent()
    {
    }

    public void ToldRemoved(long configurationIndex, int teller) =>
        Removals.Add((configurationIndex, teller));

    public async ValueTask DisposeAsync()
    {
        Gate.Open();
        SnapshotGate.Open();
        await _applier.DisposeAsync();
        Pacer.Dispose();

        // What was received last may have been awaited on the log's own thread.
        await OwnThread.Begin();
        _records.Dispose();
        Gate.Dispose();
        SnapshotGate.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
