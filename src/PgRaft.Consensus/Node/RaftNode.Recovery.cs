// Snapshots by hand, backups, and the two ways to begin again: from a backup, and from what this
// member has when the majority is lost for ever.
//
// Why it is hard: whoever was left behind may come back. A cluster that begins again has a new
// founding, so that no member of the old one can vote in it, lead it or join it, over a new
// connection or an open one. And its terms begin far above the old ones, so that a term that was
// handed out as a fencing token meanwhile is an old one.
//
// Threading: any thread; _founding keeps changes of the engine apart. Failure: as IRaftNode says.
// Each of the two is one durable step (a rename, a log record): before it nothing has changed but
// the term, after it the new cluster begins at every start.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Recovery;
using PgRaft.Core;
using PgRaft.Core.Snapshots;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    /// <summary>How many terms a cluster that begins again leaves out: more than elections can have
    /// been held since.</summary>
    internal const long SkippedTerms = 1_000_000;

    private const string RestoreHint =
        "A backup is restored on a node with an empty pgraft.data_dir and no "
        + "pgraft.initial_cluster.";

    private readonly SemaphoreSlim _fileWork = new(1, 1);

    /// <inheritdoc/>
    public async Task<long> SnapshotAsync(CancellationToken token) =>
        (await Applier.SnapshotAsync(token).ConfigureAwait(false)).Index;

    /// <inheritdoc/>
    public Task<BackupInfo> BackupAsync(string path, CancellationToken token) => RunFileWorkAsync(
        stop => BackupWriter.Write(
            _options.Io, path, _stateMachine.Capture(), AboutThisNode(), stop),
        token);

    /// <inheritdoc/>
    public Task<BackupInfo> ReadBackupAsync(string path, CancellationToken token) =>
        RunFileWorkAsync(
            stop =>
            {
                using var file = BackupFile.Open(_options.Io, path);
                file.VerifyChecksum(stop);
                return file.Info;
            },
            token);

    /// <inheritdoc/>
    public async Task<BackupInfo> RestoreAsync(string path, CancellationToken token)
    {
        RequireNoCluster(RestoreHint);
        using var file = await BeforeAnyChangeAsync(
            () => RunFileWorkAsync(stop => OpenVerified(path, stop), token)).ConfigureAwait(false);
        await BeforeAnyChangeAsync(() => EnterAsync(token)).ConfigureAwait(false);
        try
        {
            RequireNotStopping();
            await WithoutEngineAsync(() => TakeOverAsync(file)).ConfigureAwait(false);
        }
        finally
        {
            _founding.Release();
        }

        await LeadingAsync(
            () => Unfinished(
                "The backup was restored, but this node does not lead the new cluster yet."),
            token).ConfigureAwait(false);
        LogRestored(_logger, file.Info.Index, file.Info.NodeId, file.Info.TakenAt, SelfId);
        return file.Info;
    }

    /// <inheritdoc/>
    public async Task<RecoveryResult> RecoverAloneAsync(CancellationToken token)
    {
        RecoveryResult? result = null;
        await BeforeAnyChangeAsync(() => EnterAsync(token)).ConfigureAwait(false);
        try
        {
            RequireNotStopping();
            var before = await BeforeAnyChangeAsync(() => RequireMajorityLostAsync(token))
                .ConfigureAwait(false);
            await WithoutEngineAsync(async () => result = await LeaveOthersAsync(before)
                .ConfigureAwait(false)).ConfigureAwait(false);
        }
        finally
        {
            _founding.Release();
        }

        LogAlone(
            _logger, SelfId, result!.LostMembers, result.CommitIndex, result.LastIndex);
        await LeadingAsync(
            () => Unfinished(
                "The configuration was rewritten, but this node does not lead yet."),
            token).ConfigureAwait(false);
        return result;
    }

    /// <summary>What this node answers to a member that asks.</summary>
    internal NodeReport Report() => new(
        Log.Term, LeaderInTouch(), Log.CommitIndex, Disk.Log.LastIndex,
        Log.TermAt(Disk.Log.LastIndex));

    // A leader that has lost its majority goes on leading until the engine notices.
    private int LeaderInTouch() =>
        View.Tenure is not null && !HoldsLease ? 0 : View.Current(Log.Term, out _);

    private BackupInfo AboutThisNode() => new()
    {
        ClusterId = _options.ClusterId,
        NodeId = SelfId,
        Version = _options.Version,
        CurrentTerm = Log.Term,
        TakenAt = DateTimeOffset.FromUnixTimeMilliseconds(
            _options.Clock.GetUtcNow().ToUnixTimeMilliseconds()),
        Index = 0,
        Term = 0,
        Revision = 0,
        StateHash = string.Empty,
    };

    private BackupFile OpenVerified(string path, CancellationToken token)
    {
        var file = BackupFile.Open(_options.Io, path);
        try
        {
            RequireOwnCluster(file.Info, path);
            file.VerifyChecksum(token);
            file.VerifyState(token);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void RequireOwnCluster(BackupInfo info, string path)
    {
        if (info.ClusterId != _options.ClusterId)
        {
            throw new PgraftException(
                StatusCode.BadArgument,
                $"backup \"{path}\" is of cluster \"{info.ClusterId}\"",
                $"This server is configured for cluster \"{_options.ClusterId}\".",
                "Choose a backup of this cluster, or correct pgraft.cluster_id.");
        }
    }

    // With _founding held and no engine.
    private async Task TakeOverAsync(BackupFile file)
    {
        // Again: until the engine stopped, another cluster's leader could have added this node.
        RequireNoCluster(RestoreHint);
        await Applier.InstallAsync(
            () => RunFileWorkAsync(
                stop => WriteRestored(file, stop), CancellationToken.None),
            Log.AdoptCurrentSnapshot).ConfigureAwait(false);
        string hash = StateHash.ComputeHex(_stateMachine.Capture(), CancellationToken.None);
        if (hash != file.Info.StateHash)
        {
            var broken = new InvariantViolatedException(
                $"restored a state with hash {hash} from a backup with hash "
                + file.Info.StateHash);
            Fail(broken);
            throw broken;
        }
    }

    // The rename in Commit is the one step: the snapshot carries the new configuration, and the log
    // begins after it. Before it only the term was raised.
    private long WriteRestored(BackupFile file, CancellationToken token)
    {
        var alone = Configuration.Found(NewFoundingId(), [_options.Self]);
        var info = file.Info;
        using var writer = Disk.Snapshots.CreateWriter(
            info.Index, info.Term, info.Index, alone.Bytes.Span, file.DataVersion, token);
        file.CopyContent(writer.Content, token);

        // An invitation by the leader of another cluster: this node joins none any more.
        Disk.Notices.Clear();
        Log.ObserveTerm(Math.Max(info.CurrentTerm, Log.Term) + SkippedTerms);
        return writer.Commit().Index;
    }

    // With _founding held and no engine.
    private async Task<RecoveryResult> LeaveOthersAsync(NodeReport before)
    {
        RequireUnchangedSince(before);
        var members = Disk.Configurations.Latest.Configuration;
        long foundingId = NewFoundingId();
        var alone = Configuration.Found(foundingId, [_options.Self]);
        try
        {
            await Log.BeginAloneAsync(SelfId, Log.Term + SkippedTerms, alone)
                .ConfigureAwait(false);
        }
        catch (PgraftException e)
        {
            throw Unfinished($"The new configuration may or may not be on disk: {e.Message}");
        }

        return new RecoveryResult(before.CommitIndex, before.LastIndex, members.Count - 1);
    }

    private async Task WithoutEngineAsync(Func<Task> change)
    {
        await StopEngineAsync().ConfigureAwait(false);
        try
        {
            await change().ConfigureAwait(false);
        }
        finally
        {
            Membership.Forget();
            await StartEngineAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task<bool> EnterAsync(CancellationToken token)
    {
        await _founding.WaitAsync(token).ConfigureAwait(false);
        return true;
    }

    // Ended here, the call is known to have done nothing.
    private async Task<T> BeforeAnyChangeAsync<T>(Func<Task<T>> action)
    {
        try
        {
            return await action().ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            RequireNotStopping();
            throw new PgraftException(
                StatusCode.TimedOut, "time ran out before anything was changed", null,
                "Raise pgraft.request_timeout for the session.", e);
        }
    }

    // One at a time, on a thread of its own: it reads and writes files that may be large and on
    // slow or distant disks.
    private async Task<T> RunFileWorkAsync<T>(
        Func<CancellationToken, T> work, CancellationToken token)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(token, _stopping.Token);
        await _fileWork.WaitAsync(either.Token).ConfigureAwait(false);
        try
        {
            return await OwnThread.RunAsync(() => work(either.Token), either.Token)
                .ConfigureAwait(false);
        }
        finally
        {
            _fileWork.Release();
        }
    }

    private static PgraftException Unfinished(string why) => new(
        StatusCode.OutcomeUnknown, "the outcome of the recovery is unknown", why,
        "See pgraft_get_nodes() and the server log before running it again.");

    [LoggerMessage(151, LogLevel.Warning,
        "node {NodeId} goes on alone and has left {Lost} members: its log is kept up to index "
        + "{LastIndex}, of which it knew {CommitIndex} to be committed; acknowledged writes beyond "
        + "index {LastIndex} are lost")]
    private static partial void LogAlone(
        ILogger logger, int nodeId, int lost, long commitIndex, long lastIndex);

    [LoggerMessage(152, LogLevel.Warning,
        "restored the backup of log index {Index} that node {Writer} took at {TakenAt}; node "
        + "{NodeId} is the only member of the new cluster")]
    private static partial void LogRestored(
        ILogger logger, long index, int writer, DateTimeOffset takenAt, int nodeId);
}
