// The settings of a node as the shim gives them, checked. Threading: immutable.
// Failure: Check throws PgraftException(BadArgument) that names the setting.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Http;
using PgRaft.Server.Requests;

namespace PgRaft.Server.Hosting;

internal sealed record HostOptions
{
    private const int MaxHeartbeatMs = 10_000;
    private const int MaxElectionTimeoutMs = 60_000;
    private const int MaxEntries = 1_000_000_000;
    private const int MaxBatchEntries = 10_000;
    private const int MaxBatchDelayMs = 1000;

    public required NodeOptions Node { get; init; }

    public required int MaxValueBytes { get; init; }

    public required bool Debug { get; init; }

    public HttpOptions Http { get; init; } = HttpOptions.Off;

    /// <summary>What the shim has to say of the settings.</summary>
    public IReadOnlyList<Finding> Findings { get; init; } = [];

    /// <summary>Since when the answers to the three questions have been unknown, at the start.
    /// </summary>
    public AnswerTimes Answers { get; init; }

    /// <summary>Checks everything that the shim checks too: the core trusts no caller.</summary>
    public HostOptions Checked()
    {
        CheckRange("node_id", Node.Self.NodeId, Limits.MinNodeId, Limits.MaxNodeId);
        CheckRange("port", Node.Self.Port, 1, ushort.MaxValue);
        CheckHost("address", Node.Self.Host);
        if (Node.ListenAddress is not ("*" or "0.0.0.0" or "::"))
            CheckHost("listen_address", Node.ListenAddress);
        if (Http.Address is not ("*" or "0.0.0.0" or "::"))
            CheckHost("metrics_address", Http.Address);
        CheckRange("metrics_port", Http.Port, 1, ushort.MaxValue);
        CheckClusterId(Node.ClusterId);
        if (!Path.IsPathFullyQualified(Node.DataDirectory))
            throw Bad("data_dir", $"\"{Node.DataDirectory}\" is not an absolute path");
        CheckRange("heartbeat_interval", Node.HeartbeatIntervalMs, 1, MaxHeartbeatMs);
        CheckRange(
            "election_timeout",
            Node.ElectionTimeoutMs,
            3 * Node.HeartbeatIntervalMs,
            MaxElectionTimeoutMs);
        CheckRuntime();
        return this;
    }

    private void CheckRuntime()
    {
        var runtime = Node.Runtime;
        CheckRange("snapshot_interval", runtime.SnapshotIntervalEntries, 1, MaxEntries);
        CheckRange("max_log_entries", runtime.MaxLogEntries, 0, MaxEntries);
        CheckRange("batch_size", runtime.BatchSizeEntries, 1, MaxBatchEntries);
        CheckRange("max_batch_delay", runtime.MaxBatchDelayMs, 0, MaxBatchDelayMs);
        CheckRange("compaction_threshold", runtime.CompactionThresholdRevisions, 0, MaxEntries);
        CheckRange(
            "max_value_size", MaxValueBytes, Limits.LowerMaxValueBytes, Limits.UpperMaxValueBytes);
    }

    private static void CheckHost(string setting, string host)
    {
        if (!MemberSyntax.IsHost(host))
        {
            throw Bad(
                setting, $"\"{host}\" is neither a host name nor the IP address of one machine");
        }
    }

    private static void CheckClusterId(string id)
    {
        bool isValid = id.Length is > 0 and <= Limits.MaxClusterIdLength
            && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');
        if (!isValid)
        {
            throw Bad("cluster_id", string.Create(
                CultureInfo.InvariantCulture,
                $"\"{id}\" is not 1 to {Limits.MaxClusterIdLength} of A-Z a-z 0-9 _ . -"));
        }
    }

    private static void CheckRange(string setting, int value, int min, int max)
    {
        if (value < min || value > max)
        {
            throw Bad(setting, string.Create(
                CultureInfo.InvariantCulture, $"{value} is outside {min} to {max}"));
        }
    }

    private static PgraftException Bad(string setting, string detail) =>
        new(StatusCode.BadArgument, $"setting pgraft.{setting} is not valid", detail + ".");
}
