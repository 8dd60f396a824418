// Everything a node keeps on disk, opened in the order in which one depends on the other.
// Threading: opened and closed by one thread. Failure: whatever cannot be trusted is a
// PgraftException that names the file; what was opened before is closed again.
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using PgRaft.Core.Commands;

namespace PgRaft.Consensus.Node;

/// <summary>The opened storage of a node.</summary>
internal sealed class NodeStorage : IDisposable
{
    private readonly IStorageIo _io;

    private NodeStorage(
        IStorageIo io, DataDirectory directory, TermStore terms, SnapshotStore snapshots,
        SegmentedLog log, ConfigurationHistory configurations, MembershipNotices notices,
        int dataHeld)
    {
        _io = io;
        DataDirectory = directory;
        Terms = terms;
        Snapshots = snapshots;
        Log = log;
        Configurations = configurations;
        Notices = notices;
        DataHeld = dataHeld;
    }

    /// <summary>The locked and stamped directory.</summary>
    public DataDirectory DataDirectory { get; }

    /// <summary>Term and vote.</summary>
    public TermStore Terms { get; }

    /// <summary>Snapshots.</summary>
    public SnapshotStore Snapshots { get; }

    /// <summary>The log.</summary>
    public SegmentedLog Log { get; }

    /// <summary>Configurations from the base to the end of the log.</summary>
    public ConfigurationHistory Configurations { get; }

    /// <summary>What the node was told of its own membership.</summary>
    public MembershipNotices Notices { get; }

    /// <summary>Newest data version in log and snapshot when they were opened.</summary>
    public int DataHeld { get; }

    /// <summary>Opens everything and restores the state machine from the newest snapshot.</summary>
    public static NodeStorage Open(NodeOptions options, StateMachine stateMachine)
    {
        var directory = DataDirectory.Open(
            options.DataDirectory, options.ClusterId, options.Self.NodeId, options.Io);
        SegmentedLog? log = null;
        try
        {
            var terms = TermStore.Open(directory.Path, options.Io);
            var snapshots = SnapshotStore.Open(directory.Path, options.Io);
            Applier.Restore(snapshots, stateMachine);
            log = SegmentedLog.Open(
                LogOptionsOf(options, directory.Path), snapshots.Current?.Index ?? 0,
                snapshots.Current?.Term ?? 0);
            RequireTermNotBehindLog(directory.Path, terms, log);
            var configurations = ReadConfigurations(
                options, directory, snapshots, log, out int inLog);
            return new NodeStorage(
                options.Io, directory, terms, snapshots, log, configurations,
                MembershipNotices.Open(options.Io, directory.Path),
                Math.Max(inLog, stateMachine.DataVersion));
        }
        catch
        {
            log?.Dispose();
            directory.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Makes a founding durable. It is the configuration before the first log entry.
    /// </summary>
    public void Found(Configuration configuration)
    {
        Notices.Clear();
        FoundingFile.Write(_io, DataDirectory.Path, configuration);
        Configurations.Rebase(0, configuration);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Log.Dispose();
        DataDirectory.Dispose();
    }

    private static LogOptions LogOptionsOf(NodeOptions options, string directory) => new()
    {
        Directory = Path.Combine(directory, "log"),
        SegmentBytes = options.LogSegmentBytes,
        Io = options.Io,
    };

    // A node whose term went back could vote twice in one term. Neither file shows by itself that
    // the other was lost.
    private static void RequireTermNotBehindLog(string directory, TermStore terms, SegmentedLog log)
    {
        long lastTerm = log.TermAt(log.LastIndex);
        if (terms.Term < lastTerm)
        {
            throw new PgraftException(
                StatusCode.IoError,
                $"the stored term in \"{directory}\" is {terms.Term}, "
                + $"but its log has entries of term {lastTerm}",
                "The term file was lost or replaced by an older one.",
                "Remove this node from the cluster, empty the directory, "
                + "and add it with a new node_id.");
        }
    }

    private static ConfigurationHistory ReadConfigurations(
        NodeOptions options, DataDirectory directory, SnapshotStore snapshots, SegmentedLog log,
        out int dataVersion)
    {
        var history = snapshots.Current is { } snapshot
            ? new ConfigurationHistory(
                snapshot.Index, Configuration.Decode(snapshot.Configuration.Span))
            : new ConfigurationHistory(
                0, FoundingFile.Read(options.Io, directory.Path) ?? Configuration.Empty);
        dataVersion = ScanLog(log, history);
        bool blank = history.Latest.Configuration.IsEmpty && log.LastIndex == 0;
        if (blank && options.InitialCluster.Count > 0)
        {
            var founding = Configuration.Found(FoundingId(options), options.InitialCluster);
            FoundingFile.Write(options.Io, directory.Path, founding);
            history.Rebase(0, founding);
        }

        return history;
    }

    // Takes the configurations out of the log, and returns the newest data version in it. One that
    // this build does not read is refused here: entries that are not committed yet would be applied
    // much later.
    private static int ScanLog(SegmentedLog log, ConfigurationHistory history)
    {
        int newest = 0;
        var batch = new List<LogRecord>();
        long next = Math.Max(log.FirstIndex, history.Latest.Index + 1);
        while (log.Read(next, 1024, 1024 * 1024, batch) > 0)
        {
            foreach (var record in batch)
            {
                if (record.Kind == EntryKind.Configuration)
                {
                    history.Append(record.Index, record.Term, ConfigurationOf(record));
                }

                newest = Math.Max(newest, DataVersionOf(record));
            }

            next = batch[^1].Index + 1;
            batch.Clear();
        }

        return newest;
    }

    /// <summary>The data version of an entry; 0 = it has none.</summary>
    /// <exception cref="PgraftException">This build does not read it.</exception>
    public static int DataVersionOf(LogRecord record)
    {
        int version = record.Kind == EntryKind.Command
            ? Command.VersionOf(record.Payload.Span)
            : 0;
        return version <= DataVersions.Newest
            ? version
            : throw DataVersions.TooNew($"log entry {record.Index}", version);
    }

    private static Configuration ConfigurationOf(LogRecord record)
    {
        try
        {
            return Configuration.Decode(record.Payload.Span);
        }
        catch (InvalidDataException e)
        {
            throw new PgraftException(
                StatusCode.IoError, $"log entry {record.Index} cannot be read", e.Message,
                "It is a configuration that this version of pgraft does not know. Start the "
                + "version that wrote it, or replace this member.",
                e);
        }
    }

    // Every founding member computes the same id from the same setting, so that they know each
    // other.
    private static long FoundingId(NodeOptions options)
    {
        var text = new StringBuilder(options.ClusterId);
        foreach (var member in options.InitialCluster.OrderBy(m => m.NodeId))
        {
            text.Append('\n').Append(member.NodeId).Append('=').Append(member.Host)
                .Append(':').Append(member.Port);
        }

        byte[] hash = XxHash64.Hash(Encoding.UTF8.GetBytes(text.ToString()));
        long id = BinaryPrimitives.ReadInt64LittleEndian(hash);
        return id == 0 ? 1 : id;
    }
}
