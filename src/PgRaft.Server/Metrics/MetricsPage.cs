// What /metrics answers: each metric of MetricList from where it is counted.
// Threading: any number of scrapes at once; nothing is locked for longer than a status takes.
// Failure: a file system that does not tell its size has no metrics of it.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Consensus.Metrics;
using PgRaft.Server.Hosting;
using PgRaft.Server.Http;
using PgRaft.Server.Protocol;
using PgRaft.Server.Requests;

namespace PgRaft.Server.Metrics;

internal sealed class MetricsPage(NodeReport report)
{
    public byte[] Render()
    {
        var writer = new MetricWriter();
        var picture = report.Take();
        var meters = report.Node?.Meters ?? new NodeMeters();
        WriteIdentity(writer, picture);
        WriteLeadership(writer, picture, meters);
        WriteLog(writer, picture.Node, meters);
        WriteDisk(writer);
        WriteProposals(writer, meters);
        WriteTraffic(writer, picture.Node, meters);
        WriteMembers(writer, report.Node?.GetReplication() ?? []);
        WriteRequests(writer);
        WriteKv(writer);
        WriteProcess(writer);
        return writer.ToBytes();
    }

    private void WriteIdentity(MetricWriter writer, NodePicture picture)
    {
        var options = report.Options;
        writer.Begin(MetricList.Info).Sample(
            MetricList.Info, 1, options.Version, options.ClusterId, Id(options.Self.NodeId));
        writer.Write(MetricList.Up, picture.Livez().Holds);
        writer.Begin(MetricList.WorkerState);
        foreach (var state in Enum.GetValues<WorkerState>())
        {
            writer.Sample(
                MetricList.WorkerState, picture.State == state ? 1 : 0, NodePicture.Lower(state));
        }

        writer.Write(
            MetricList.StartTime, report.StartedAt.ToUnixTimeMilliseconds() / 1000.0);
    }

    private static void WriteLeadership(
        MetricWriter writer, NodePicture picture, NodeMeters meters)
    {
        writer.Write(MetricList.Term, picture.Node.Term)
            .Write(MetricList.LeaderId, picture.LeaderId)
            .Write(MetricList.IsLeader, picture.MayAct == true)
            .Begin(MetricList.Role);
        foreach (var role in Enum.GetValues<NodeRole>())
        {
            writer.Sample(
                MetricList.Role, picture.Node.Role == role ? 1 : 0, NodePicture.Lower(role));
        }

        writer.Begin(MetricList.LeaseRemaining);
        if (picture.Node.LeaseDeadlineNs != long.MaxValue)
        {
            double seconds = (picture.Node.LeaseDeadlineNs - picture.NowNs) / 1e9;
            writer.Sample(MetricList.LeaseRemaining, Math.Max(0, seconds));
        }

        writer.Write(MetricList.Members, picture.Node.Members)
            .Write(MetricList.RoleChanges, meters.RoleChanges.Value)
            .Write(MetricList.Elections, picture.Node.ElectionsTriggered)
            .Write(MetricList.ElectionsWon, meters.ElectionsWon.Value)
            .Write(MetricList.LeadershipsLost, meters.LeadershipsLost.Value)
            .Write(MetricList.LeaseExpirations, meters.LeaseExpirations.Value);
    }

    private static void WriteLog(MetricWriter writer, NodeStatus node, NodeMeters meters) => writer
        .Write(MetricList.LogSize, Math.Max(0, node.LastIndex - node.FirstIndex + 1))
        .Write(MetricList.FirstIndex, node.FirstIndex)
        .Write(MetricList.LastIndex, node.LastIndex)
        .Write(MetricList.CommitIndex, node.CommitIndex)
        .Write(MetricList.AppliedIndex, node.AppliedIndex)
        .Write(MetricList.SnapshotIndex, node.SnapshotIndex)
        .Write(MetricList.SnapshotBytes, node.SnapshotBytes)
        .Write(MetricList.StorageBytes, node.DiskBytes)
        .Write(MetricList.LogWritten, meters.LogWrittenBytes.Value)
        .Write(MetricList.LogSync, meters.LogSync)
        .Write(MetricList.Apply, meters.Apply)
        .Write(MetricList.SnapshotDuration, meters.SnapshotWrite)
        .Write(MetricList.SnapshotsInstalled, meters.SnapshotsInstalled.Value)
        .Write(MetricList.SnapshotFailures, meters.SnapshotFailures.Value);

    private void WriteDisk(MetricWriter writer)
    {
        DriveInfo drive;
        long free;
        try
        {
            drive = new DriveInfo(report.Options.DataDirectory);
            free = drive.AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return;
        }

        writer.Write(MetricList.DiskFree, free).Write(MetricList.DiskSize, drive.TotalSize);
    }

    private static void WriteProposals(MetricWriter writer, NodeMeters meters) => writer
        .Begin(MetricList.Proposals)
        .Sample(MetricList.Proposals, meters.ProposalsApplied.Value, "applied")
        .Sample(MetricList.Proposals, meters.ProposalsRefused.Value, "refused")
        .Sample(MetricList.Proposals, meters.ProposalsUnknown.Value, "unknown")
        .Write(MetricList.ProposalDuration, meters.Proposal)
        .Write(MetricList.Replication, meters.Replication);

    private static void WriteTraffic(MetricWriter writer, NodeStatus node, NodeMeters meters) =>
        writer
            .Write(MetricList.PeerSent, meters.PeerSentBytes.Value)
            .Write(MetricList.PeerReceived, meters.PeerReceivedBytes.Value)
            .Write(MetricList.PeerMessages, node.MessagesProcessed)
            .Write(MetricList.Heartbeats, node.HeartbeatsSent);

    private static void WriteMembers(
        MetricWriter writer, IReadOnlyList<FollowerProgress> members)
    {
        WriteMembers(writer, MetricList.PeerUp, members, m => m.IsActive ? 1 : 0);
        WriteMembers(writer, MetricList.PeerLag, members, m => m.Lag);
        WriteMembers(writer, MetricList.PeerMatch, members, m => m.MatchIndex);
        WriteMembers(writer, MetricList.PeerContact, members, m => m.LastContactMs / 1000.0);
        WriteMembers(writer, MetricList.PeerRoundTrip, members, m => m.RoundTripMs / 1000.0);
    }

    private static void WriteMembers(
        MetricWriter writer, MetricInfo metric, IReadOnlyList<FollowerProgress> members,
        Func<FollowerProgress, double?> value)
    {
        writer.Begin(metric);
        foreach (var member in members)
        {
            if (value(member) is { } known)
                writer.Sample(metric, known, Id(member.NodeId));
        }
    }

    private void WriteRequests(MetricWriter writer)
    {
        writer.Begin(MetricList.Requests);
        foreach (var code in Enum.GetValues<RequestCode>())
        {
            foreach (var outcome in Enum.GetValues<RequestOutcome>())
            {
                if (report.Requests.Count(code, outcome) is > 0 and var count)
                    writer.Sample(
                        MetricList.Requests, count, NameOf(code), NodePicture.Lower(outcome));
            }
        }

        writer.Begin(MetricList.RequestDuration)
            .Sample(MetricList.RequestDuration, report.Requests.Writes, "write")
            .Sample(MetricList.RequestDuration, report.Requests.Reads, "read")
            .Write(MetricList.Forwarded, report.Requests.Forwarded.Value)
            .Write(MetricList.RequestsPending, report.Counters.Pending)
            .Write(MetricList.Connections, report.Connections);
    }

    private void WriteKv(MetricWriter writer)
    {
        var stats = report.State.Kv.Stats;
        writer.Write(MetricList.Keys, stats.TotalKeys)
            .Write(MetricList.KvBytes, stats.TotalBytes)
            .Write(MetricList.Revision, stats.Revision)
            .Write(MetricList.CompactedRevision, stats.CompactedRevision)
            .Write(MetricList.Puts, stats.Puts)
            .Write(MetricList.Deletes, stats.Deletes);
    }

    private static void WriteProcess(MetricWriter writer)
    {
        writer.Write(MetricList.Managed, GC.GetTotalMemory(forceFullCollection: false))
            .Begin(MetricList.Collections);
        for (int generation = 0; generation <= GC.MaxGeneration; generation++)
        {
            writer.Sample(
                MetricList.Collections, GC.CollectionCount(generation), Id(generation));
        }

        writer.Write(MetricList.GcPause, GC.GetTotalPauseDuration().TotalSeconds)
            .Write(MetricList.Threads, ThreadPool.ThreadCount)
            .Write(MetricList.Resident, Environment.WorkingSet)
            .Write(MetricList.Cpu, Environment.CpuUsage.TotalTime.TotalSeconds);
    }

    // KvPut becomes kv_put.
    private static string NameOf(RequestCode code) => string.Concat(code.ToString().Select(
        (c, i) => char.IsAsciiLetterUpper(c)
            ? (i == 0 ? "" : "_") + char.ToLowerInvariant(c)
            : c.ToString()));

    private static string Id(int number) => number.ToString(CultureInfo.InvariantCulture);
}
