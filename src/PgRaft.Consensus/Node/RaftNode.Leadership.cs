// Following the engine's leadership: when it began in earnest, when it ended, the lease, and giving
// it up on purpose.
// Threading: any thread. Failure: none of its own.
using DotNext.Net.Cluster.Consensus.Raft;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Leadership;
using PgRaft.Core;

namespace PgRaft.Consensus;

public sealed partial class RaftNode
{
    private long _noCampaignBefore;
    private int _givingUp;

    /// <inheritdoc/>
    public async Task<int> YieldLeadershipAsync(CancellationToken token)
    {
        var tenure = View.Tenure ?? throw NotLeaderHere();
        RequireNoChange();
        await RequireMajorityWithoutAsync(SelfId).ConfigureAwait(false);
        int taker = await TryHandOverAsync(tenure, token).ConfigureAwait(false);
        if (taker != 0 && taker != SelfId)
        {
            return taker;
        }

        HoldBack();
        ExpectEnd("this node gave up leadership when asked to");
        Depose(tenure);

        // Hazard 28: not with the caller's token. Cancelled here, the engine would go on leading a
        // term in which nobody can propose any more.
        await Engine.StepDownAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            while (true)
            {
                long seen = View.Version;
                int leader = View.Current(Log.Term, out _);
                if (leader != 0 && leader != SelfId)
                {
                    return leader;
                }

                await View.WaitChangeAsync(seen, token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            throw new PgraftException(
                StatusCode.TimedOut,
                "leadership was given up, but no other member took it in time");
        }
    }

    void IMemberHost.LeaderAcknowledged(long term)
    {
        if (DiskStandsStill)
        {
            GiveUpForDisk(term);
        }
        else
        {
            RenewLease(term);
        }
    }

    Ballots IMemberHost.Ballots => _ballots;

    void IMemberHost.Balloted()
    {
        var active = Membership.Active;
        if (View.Current(Log.Term, out _) != 0 || !active.Contains(SelfId))
        {
            return;
        }

        var remotes = Membership.Remotes;
        _quorum.Asked(
            active.Count, remotes.Count(r => r.Peer.Contact.FailedWithin(Lately)),
            LiveIds(remotes, stackalloc int[remotes.Length + 1]));
        RaiseStatusChanged();
    }

    /// <summary>An append or a piece of a snapshot of a leader was accepted.</summary>
    /// <param name="term">Its term.</param>
    /// <param name="leaderId">The leader.</param>
    /// <param name="commitIndex">An index that it says is committed.</param>
    internal void LeaderSeen(long term, int leaderId, long commitIndex)
    {
        if (commitIndex > Volatile.Read(ref _leaderCommitIndex))
        {
            Volatile.Write(ref _leaderCommitIndex, commitIndex);
        }

        _quorum.Follows();
        Membership.FindPeer(leaderId)?.Contact.Presence.Heard();
        View.LeaderSeen(term, leaderId);
    }

    /// <summary>Whether this node may stand for election now; asked when it is about to.</summary>
    internal bool MayCampaign()
    {
        Engine.RestorePatience();
        SayElectionTimeout();
        bool holdsBack = Environment.TickCount64 < Volatile.Read(ref _noCampaignBefore)
            && !((IMemberHost)this).MayStandEarly(Log.Term)
            && !((IMemberHost)this).MayStandEarly(Log.Term - 1);
        return Membership.IsSettled && !DiskStandsStill && !holdsBack;
    }

    // Hazard 38: heartbeats need no disk. A leader whose disk hangs without an error would lead on,
    // lease and all, and commit nothing.
    internal bool DiskStandsStill =>
        Math.Max(Disk.Log.BusyMs, Disk.Terms.BusyMs) > _options.ElectionTimeoutMs * 2L;

    /// <summary>Whether this node leads and no other can.</summary>
    internal bool HoldsLease => View.Tenure is not null
        && _lease.Current > LeaderLease.ToNs(_options.Clock.GetTimestamp());

    /// <summary>Newest term whose lease this node has given up for good; 0 = none.</summary>
    internal long CededTerm => _lease.CededTerm;

    /// <summary>The engine's members changed: the majority may be another.</summary>
    internal void MembersChanged()
    {
        if (View.Tenure is { } tenure)
        {
            RenewLease(tenure.Term);
        }

        RaiseStatusChanged();
    }

    private async Task WatchLeadershipAsync(RaftEngine engine, CancellationToken stopped)
    {
        try
        {
            while (!stopped.IsCancellationRequested)
            {
                if (await WaitElectedAsync(engine, stopped).ConfigureAwait(false) is { } tenure)
                {
                    await ServeTenureAsync(tenure).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException
            or QuorumUnreachableException || stopped.IsCancellationRequested)
        {
            // The engine was stopped.
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    // Null when the term changed meanwhile. Hazard 27: the engine's wait is for the first entry of
    // one leadership to be applied, and outlives that leadership; the entry may have been replaced
    // by a shorter log's, and then the wait would miss every later election of this node.
    private async Task<Tenure?> WaitElectedAsync(RaftEngine engine, CancellationToken stopped)
    {
        // Not disposed: it has neither timer nor parent, and a late OnChanged may still cancel it.
        var over = new CancellationTokenSource();
        long term = Log.Term;
        void OnChanged()
        {
            if (Log.Term != term)
            {
                _ = over.CancelAsync();
            }
        }

        using var registration = stopped.UnsafeRegister(_ => over.Cancel(), null);
        Log.Changed += OnChanged;
        try
        {
            // Looked at again after registering: the term may have changed in between.
            OnChanged();
            var ended = await engine.WaitForLeadershipAsync(over.Token).ConfigureAwait(false);
            return new Tenure(term, ended);
        }
        catch (OperationCanceledException) when (!stopped.IsCancellationRequested)
        {
            return null;
        }
        finally
        {
            Log.Changed -= OnChanged;
        }
    }

    private async Task ServeTenureAsync(Tenure tenure)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = tenure.Ended.UnsafeRegister(
            _ =>
            {
                SayWhyItEnded(tenure);
                Depose(tenure);
                ended.TrySetResult();
            },
            null);
        // Hazard 29: a leader's last entry is of its own term. Another one means that the term went
        // on between the election and now, and that this node does not lead the one it names. So
        // does a later term of the log, of which whoever waited may not have learned yet.
        bool isOver = tenure.Ended.IsCancellationRequested || Log.Term != tenure.Term;
        if (isOver || Log.TermAt(Disk.Log.LastIndex) != tenure.Term)
        {
            await ended.Task.ConfigureAwait(false);
            return;
        }

        _lease.Begin(tenure.Term);
        View.Elected(tenure);
        Meters.ElectionsWon.Increment();
        if (tenure.Ended.IsCancellationRequested)
        {
            Depose(tenure);
        }

        RenewLease(tenure.Term);

        // The others learn that the first entry is committed, and that requests will be served.
        Engine.Replicate();
        LogElected(_logger, SelfId, tenure.Term);
        await ended.Task.ConfigureAwait(false);
        Meters.LeadershipsLost.Increment();
        LogDeposed(
            _logger, SelfId, tenure.Term, Interlocked.Exchange(ref _endedBy, null) ?? "unknown");
    }

    private void Depose(Tenure tenure)
    {
        CountLapse();
        _lease.End();
        _quorum.Follows();
        View.Deposed(tenure);
        WakeProposals();
    }

    // To somebody in particular, if anybody can take it: that is faster than an election, and must
    // not become slower. 0 if nobody has.
    private async Task<int> TryHandOverAsync(Tenure tenure, CancellationToken token)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(token);
        limit.CancelAfter(Patience * 4);
        try
        {
            var target = BestTarget(tenure.Term);
            return await HandOverAsync(tenure, target, Otherwise.Resign, limit.Token)
                .ConfigureAwait(false);
        }
        catch (PgraftException)
        {
            return 0;
        }
    }

    private void HoldBack() => Volatile.Write(
        ref _noCampaignBefore, Environment.TickCount64 + (_options.ElectionTimeoutMs * 4L));

    private void GiveUpForDisk(long term)
    {
        if (Interlocked.Exchange(ref _givingUp, 1) != 0)
        {
            return;
        }

        if (View.Tenure is { } tenure)
        {
            ExpectEnd("the disk of this node stands still");
            Depose(tenure);
        }

        LogDiskStandsStill(_logger, SelfId, Disk.Log.BusyMs, term);
        _ = Task.Run(StepDownForDiskAsync);
    }

    private async Task StepDownForDiskAsync()
    {
        try
        {
            await Engine.StepDownAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The engine was stopped.
        }
        catch (Exception e)
        {
            Fail(e);
        }
        finally
        {
            Volatile.Write(ref _givingUp, 0);
        }
    }

    private void RenewLease(long term)
    {
        if (View.Tenure?.Term != term)
        {
            return;
        }

        var remotes = Membership.Remotes;
        Span<long> acknowledged = stackalloc long[remotes.Length];
        Acknowledged(remotes, term, acknowledged);
        int shortest = _options.ElectionTimeoutMs;
        foreach (var remote in remotes)
        {
            int theirs = remote.Peer.ElectionTimeoutMs;
            shortest = theirs > 0 ? Math.Min(shortest, theirs) : shortest;
        }

        CountLapse();
        _quorum.Leads(LiveIds(remotes, stackalloc int[remotes.Length + 1]));
        long before = _lease.Current;
        _lease.Renew(term, acknowledged, shortest);
        if (_lease.Current != before)
        {
            RaiseStatusChanged();
        }
    }

    // In order. At every acknowledgement: without garbage.
    private ReadOnlySpan<int> LiveIds(RemoteMember[] remotes, Span<int> room)
    {
        int live = 0;
        room[live++] = SelfId;
        foreach (var remote in remotes)
        {
            if (remote.Peer.Contact.HeardWithin(Lately))
            {
                room[live++] = remote.Address.NodeId;
            }
        }

        room = room[..live];
        room.Sort();
        return room;
    }

    /// <summary>Whether a majority accepted this node as leader of a term, asked at or after a
    /// time.</summary>
    private bool IsAcknowledgedSince(long timestamp, long term)
    {
        var remotes = Membership.Remotes;
        Span<long> acknowledged = stackalloc long[remotes.Length];
        Acknowledged(remotes, term, acknowledged);
        return LeaderLease.MajoritySince(acknowledged) >= timestamp;
    }

    private static void Acknowledged(RemoteMember[] remotes, long term, Span<long> sentAt)
    {
        for (int i = 0; i < remotes.Length; i++)
        {
            sentAt[i] = remotes[i].Peer.Contact.AcknowledgedAt(term);
        }
    }

    private PgraftException NotLeaderHere()
    {
        int leaderId = View.Current(Log.Term, out _);
        return View.NotLeader(Log.Term, Membership.Active.Find(leaderId));
    }

    [LoggerMessage(111, LogLevel.Information, "node {NodeId} elected leader in term {Term}")]
    private static partial void LogElected(ILogger logger, int nodeId, long term);

    [LoggerMessage(113, LogLevel.Warning,
        "the disk of node {NodeId} has not finished a write for {BusyMs} ms: "
        + "leadership of term {Term} is given up")]
    private static partial void LogDiskStandsStill(
        ILogger logger, int nodeId, long busyMs, long term);

    [LoggerMessage(112, LogLevel.Information,
        "node {NodeId} lost leadership of term {Term}: {Cause}")]
    private static partial void LogDeposed(ILogger logger, int nodeId, long term, string cause);
}
