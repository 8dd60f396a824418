// The JSON of the HTTP paths. What is not known is null.
// Threading: any number at once. Failure: none.
using System.Buffers;
using System.Text.Json;

using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using PgRaft.Server.Requests;

namespace PgRaft.Server.Http;

internal static class StatusJson
{
    /// <summary>A verdict with its reason.</summary>
    public static ReadOnlyMemory<byte> Of(Verdict verdict) => Write(json =>
    {
        json.WriteBoolean("ok", verdict.Holds);
        json.WriteString("reason", verdict.Reason);
    });

    /// <summary>What a failover manager asks: who leads, is there a quorum, may I act.</summary>
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
            WriteFindings(json, report, picture);
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
        WriteNumber(json, "live_members", picture.LiveMembers);
        json.WriteBoolean("may_act", picture.MayAct);
        if (picture.Since is { } since)
            json.WriteString("since", since);
        else
            json.WriteNull("since");
    }

    private static void WriteMembers(
        Utf8JsonWriter json, NodeReport report, NodePicture picture)
    {
        var replication = report.Node?.GetReplication() ?? [];
        var peers = report.Node?.GetFacts().Peers ?? [];
        json.WriteStartArray("members");
        foreach (var member in report.Node?.GetMembers() ?? [])
        {
            json.WriteStartObject();
            json.WriteNumber("node_id", member.Address.NodeId);
            json.WriteString("address", member.Address.Host);
            json.WriteNumber("port", member.Address.Port);
            json.WriteBoolean("is_leader", member.Address.NodeId == picture.LeaderId);
            WriteAnswer(json, "is_active", member.IsActive);
            var peer = peers.FirstOrDefault(p => p.Address.NodeId == member.Address.NodeId);
            var progress = replication.FirstOrDefault(r => r.NodeId == member.Address.NodeId);
            WriteProgress(json, progress);
            WriteNumber(
                json, "last_contact_ms", progress?.LastContactMs ?? peer?.LastContactMs);
            json.WriteString("version", member.Address.NodeId == report.Options.Self.NodeId
                ? report.Options.Version
                : peer?.Version);
            json.WriteEndObject();
        }

        json.WriteEndArray();
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

    // Of the settings that the core knows; the view pgraft.settings_check has PostgreSQL's too.
    private static void WriteFindings(
        Utf8JsonWriter json, NodeReport report, NodePicture picture)
    {
        json.WriteStartArray("findings");
        if (report.Node is { } node)
        {
            var findings = Findings.Of(report.Options, picture.Node, node.GetFacts());
            foreach (var finding in findings.Where(f => f.Text is not null))
            {
                json.WriteStartObject();
                json.WriteString("subject", finding.Subject);
                json.WriteString("severity", finding.Severity);
                json.WriteString("finding", finding.Text);
                json.WriteString("advice", finding.Advice);
                json.WriteEndObject();
            }
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

    private static void WriteNumber(Utf8JsonWriter json, string name, double? number)
    {
        if (number is { } known)
            json.WriteNumber(name, known);
        else
            json.WriteNull(name);
    }
}
