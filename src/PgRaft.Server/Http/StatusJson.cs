// The JSON of the HTTP paths. What is not known is null.
// Threading: any number at once. Failure: none.
using System.Buffers;
using System.Text.Json;

using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;

namespace PgRaft.Server.Http;

internal static class StatusJson
{
    /// <summary>A verdict with its reason.</summary>
    public static ReadOnlyMemory<byte> Of(Verdict verdict) => Write(json =>
    {
        json.WriteBoolean("ok", verdict.Holds);
        json.WriteString("reason", verdict.Reason);
    });

    /// <summary>What a failover manager asks: is there a quorum, who is alive, may I act.</summary>
    public static ReadOnlyMemory<byte> HealthOf(NodePicture picture) =>
        Write(json => WriteHealth(json, picture));

    /// <summary>All that the page shows.</summary>
    public static ReadOnlyMemory<byte> Of(NodeReport report)
    {
        var picture = report.Take();
        var node = report.Node;
        return Write(json =>
        {
            WriteNode(json, report, picture);
            WriteHealth(json, picture);
            WriteMembers(json, report, picture);
            WriteLog(json, picture.Node);
            WriteProposals(json, node?.Meters ?? new NodeMeters());
            WriteKv(json, report);
            WriteFindings(json, report);
            WriteHistory(json, picture.History);
        });
    }

    private static ReadOnlyMemory<byte> Write(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            content(json);
            json.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    private static void WriteNode(Utf8JsonWriter json, NodeReport report, NodePicture picture)
    {
        var options = report.Options;
        json.WriteNumber("node_id", options.Self.NodeId);
        json.WriteString("cluster_id", options.ClusterId);
        json.WriteString("version", options.Version);
        json.WriteString("time", DateTimeOffset.UtcNow);
        json.WriteString("started", report.StartedAt);
        json.WriteNumber("elections_started", picture.Node.ElectionsTriggered);
    }

    private static void WriteHealth(Utf8JsonWriter json, NodePicture picture)
    {
        var verdict = picture.Readyz();
        json.WriteBoolean("healthy", verdict.Holds);
        json.WriteString("reason", verdict.Reason);
        json.WriteString("worker", picture.State.ToString().ToUpperInvariant());
        json.WriteString("role", NodePicture.Lower(picture.Node.Role));
        json.WriteBoolean("is_leader", picture.IsLeader);
        json.WriteNumber("leader_id", picture.LeaderId);
        json.WriteNumber("term", picture.Node.Term);
        WriteAnswer(json, "quorum", picture.HasQuorum);
        WriteSince(json, "quorum_since", picture.Times.QuorumSinceUs);
        WriteNumber(json, "live_members", picture.LiveMembers);
        WriteSince(json, "live_members_since", picture.Times.LiveMembersSinceUs);
        WriteAnswer(json, "may_act", picture.MayAct);
        WriteSince(json, "may_act_since", picture.Times.MayActSinceUs);
        if (picture.Since is { } since)
            json.WriteString("since", since);
        else
            json.WriteNull("since");
    }

    // Of the committed configuration, and on the leader the node that is being added.
    private static void WriteMembers(
        Utf8JsonWriter json, NodeReport report, NodePicture picture)
    {
        var replication = report.Node?.GetReplication() ?? [];
        var members = report.Node?.GetFacts().Peers ?? [];
        json.WriteStartArray("members");
        foreach (var member in members)
        {
            bool isSelf = member.Address.NodeId == report.Options.Self.NodeId;
            var progress = replication.FirstOrDefault(r => r.NodeId == member.Address.NodeId);
            json.WriteStartObject();
            WriteAddress(json, member.Address);
            json.WriteBoolean("is_member", true);
            json.WriteString("role", MemberRole.Of(picture, isSelf, member, progress));
            WriteContact(json, member);
            WriteProgress(json, progress);
            json.WriteEndObject();
        }

        WriteJoining(json, replication, members);
        json.WriteEndArray();
    }

    private static void WriteJoining(
        Utf8JsonWriter json, IReadOnlyList<FollowerProgress> replication,
        IReadOnlyList<PeerView> members)
    {
        foreach (var progress in replication)
        {
            if (progress.Address is not { } address
                || members.Any(m => m.Address.NodeId == address.NodeId))
            {
                continue;
            }

            json.WriteStartObject();
            WriteAddress(json, address);
            json.WriteBoolean("is_member", false);
            json.WriteString("role", MemberRole.OfJoining(progress));
            WriteContact(json, new PeerView(address, null, progress.LastContactMs));
            WriteProgress(json, progress);
            json.WriteEndObject();
        }
    }

    private static void WriteAddress(Utf8JsonWriter json, MemberAddress address)
    {
        json.WriteNumber("node_id", address.NodeId);
        json.WriteString("address", address.Host);
        json.WriteNumber("port", address.Port);
    }

    // As pgraft.endpoint_health has it.
    private static void WriteContact(Utf8JsonWriter json, PeerView peer)
    {
        WriteAnswer(json, "is_alive", peer.IsAlive);
        WriteNumber(json, "last_contact_ms", peer.LastContactMs);
        json.WriteString("version", peer.Version);
    }

    // Only a leader knows it, of the others.
    private static void WriteProgress(Utf8JsonWriter json, FollowerProgress? progress)
    {
        WriteNumber(json, "lag", progress?.Lag);
        WriteNumber(json, "match_index", progress?.MatchIndex);
        json.WriteString("replication", progress?.State);
        WriteNumber(json, "round_trip_ms", progress?.RoundTripMs);
    }

    private static void WriteLog(Utf8JsonWriter json, NodeStatus node)
    {
        json.WriteStartObject("log");
        json.WriteNumber("first_index", node.FirstIndex);
        json.WriteNumber("last_index", node.LastIndex);
        json.WriteNumber("commit_index", node.CommitIndex);
        json.WriteNumber("applied_index", node.AppliedIndex);
        json.WriteNumber("snapshot_index", node.SnapshotIndex);
        json.WriteNumber("snapshot_bytes", node.SnapshotBytes);
        json.WriteNumber("storage_bytes", node.DiskBytes);
        json.WriteEndObject();
    }

    private static void WriteProposals(Utf8JsonWriter json, NodeMeters meters)
    {
        json.WriteStartObject("proposals");
        json.WriteNumber("applied", meters.ProposalsApplied.Value);
        json.WriteNumber("refused", meters.ProposalsRefused.Value);
        json.WriteNumber("unknown", meters.ProposalsUnknown.Value);
        json.WriteNumber("seconds", meters.Proposal.SumSeconds);
        json.WriteNumber("count", meters.Proposal.Count);
        json.WriteEndObject();
    }

    private static void WriteKv(Utf8JsonWriter json, NodeReport report)
    {
        var stats = report.State.Kv.Stats;
        json.WriteStartObject("kv");
        json.WriteNumber("keys", stats.TotalKeys);
        json.WriteNumber("bytes", stats.TotalBytes);
        json.WriteNumber("revision", stats.Revision);
        json.WriteEndObject();
    }

    private static void WriteFindings(Utf8JsonWriter json, NodeReport report)
    {
        json.WriteStartArray("findings");
        foreach (var finding in report.Findings.Of(report.Node).Where(f => f.Severity is not null))
        {
            json.WriteStartObject();
            json.WriteString("subject", finding.Subject);
            json.WriteString("severity", finding.Severity);
            json.WriteString("finding", finding.Text);
            json.WriteString("advice", finding.Advice);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteHistory(
        Utf8JsonWriter json, IReadOnlyList<LeadershipChange> history)
    {
        json.WriteStartArray("history");
        foreach (var change in history)
        {
            json.WriteStartObject();
            json.WriteString("at", change.At);
            json.WriteString("role", NodePicture.Lower(change.Role));
            json.WriteNumber("term", change.Term);
            json.WriteNumber("leader_id", change.LeaderId);
            json.WriteString("cause", change.Cause);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteAnswer(Utf8JsonWriter json, string name, bool? answer)
    {
        if (answer is { } known)
            json.WriteBoolean(name, known);
        else
            json.WriteNull(name);
    }

    private static void WriteSince(Utf8JsonWriter json, string name, long unixUs)
    {
        long ticks = unixUs * TimeSpan.TicksPerMicrosecond;
        if (unixUs != 0)
            json.WriteString(name, DateTimeOffset.UnixEpoch.AddTicks(ticks));
        else
            json.WriteNull(name);
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, double? number)
    {
        if (number is { } known)
            json.WriteNumber(name, known);
        else
            json.WriteNull(name);
    }
}
