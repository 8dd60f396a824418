// What is to be said of a node's settings in the light of what it has measured and heard. Rules
// that need nothing but settings are in the shim (guc_findings.c): they hold without a worker.
// FindingReport puts both together.
//
// Every threshold has its reason beside it. What was not measured gives a row without a value,
// never a finding.
// Threading: pure. Failure: none.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Core;

namespace PgRaft.Server.Requests;

/// <summary>One row of pgraft.settings_check.</summary>
/// <param name="Subject">A setting, or what was looked at.</param>
/// <param name="Value">What was found; null = not measured, or that of the setting.</param>
/// <param name="Severity">notice, warning or critical; null = nothing to say.</param>
/// <param name="Text">What is the matter.</param>
/// <param name="Advice">What to do.</param>
internal sealed record Finding(
    string Subject,
    string? Value,
    string? Severity = null,
    string? Text = null,
    string? Advice = null);

internal static class Findings
{
    private const string Notice = "notice";
    private const string Warning = "warning";
    private const string Critical = "critical";
    private const string ElectionTimeout = "pgraft.election_timeout";

    // More members answer later and tolerate little more (operations guide).
    private const int MostMembers = 7;

    // Ongaro 2014 §3.9: the broadcast time should be an order of magnitude below the timeout.
    // Under a third, one late answer is as good as none.
    private const int GoodRoundTripsPerTimeout = 10;
    private const int LeastRoundTripsPerTimeout = 3;

    // The guide's least disk does 100 operations a second.
    private const double SlowSyncMs = 10;

    /// <summary>What is to be said of HTTP.</summary>
    /// <param name="trouble">Why it is not served although it should be; null = it is well.</param>
    public static IEnumerable<Finding> Http(string? trouble) => trouble is null
        ? []
        :
        [
            new Finding(
                "pgraft.metrics_enabled", null, Warning, $"HTTP is not served: {trouble}",
                "Correct pgraft.metrics_address or pgraft.metrics_port and reload, or free the "
                + "port: it is tried again every few seconds."),
        ];

    public static IEnumerable<Finding> Of(NodeOptions options, NodeStatus status, NodeFacts facts)
    {
        var others = facts.Peers.Where(p => p.Address.NodeId != options.Self.NodeId).ToArray();
        return
        [
            status.RemovedIndex == 0 ? Members(facts.Peers.Count) : Removed(facts.Peers.Count),
            .. others.Select(RoundTrip),
            .. Timeout(options.ElectionTimeoutMs, others),
            Sync(facts.SyncMs, options.ElectionTimeoutMs),
            Versions(facts.Peers),
            .. NoCommonProtocol(others),
            Data(status.Role == NodeRole.Leader, facts, others),
        ];
    }

    private static Finding Members(int count)
    {
        var row = new Finding("members", Number(count));
        return count switch
        {
            0 => row with
            {
                Severity = Notice,
                Text = "this node belongs to no cluster yet",
                Advice = "Found one with pgraft_init(), or add this node on a leader with "
                    + "pgraft_add_node().",
            },
            1 => row with
            {
                Severity = Notice,
                Text = "one member: no failure is tolerated",
                Advice = "Have 3, 5 or 7 members.",
            },
            > MostMembers => row with
            {
                Severity = Warning,
                Text = $"more than {MostMembers} members: every commit waits for more of them",
                Advice = "Have 3, 5 or 7 members, and standbys or further clusters beside them.",
            },
            _ when count % 2 == 0 => row with
            {
                Severity = Warning,
                Text = $"an even number tolerates no more failures than {Number(count - 1)}",
                Advice = "Add or remove one.",
            },
            _ => row,
        };
    }

    // How many the others are is theirs to judge.
    private static Finding Removed(int count) => new(
        "members", Number(count), Notice, "this node was removed from the cluster",
        "Stop its server, or add it again on the leader with pgraft_add_node().");

    private static Finding RoundTrip(PeerView peer) => new(
        $"round trip to node {Number(peer.Address.NodeId)}",
        peer.RoundTripMs is { } ms ? Milliseconds(ms) : null);

    private static IEnumerable<Finding> Timeout(int timeoutMs, PeerView[] others)
    {
        if (others.MaxBy(p => p.RoundTripMs) is { RoundTripMs: { } roundTripMs } slowest
            && timeoutMs < GoodRoundTripsPerTimeout * roundTripMs)
        {
            yield return TooShort(timeoutMs, roundTripMs, slowest.Address.NodeId);
        }

        if (others.MaxBy(p => p.LatencyMs) is { LatencyMs: { } latencyMs } farthest
            && timeoutMs < GuideMs(latencyMs))
        {
            yield return new Finding(
                ElectionTimeout, null, Warning,
                $"short for a latency of {Milliseconds(latencyMs)} to node "
                    + Number(farthest.Address.NodeId),
                $"Set it to {Number(GuideMs(latencyMs))} ms or more on all members.");
        }

        var different = others.Where(p => p.ElectionTimeoutMs is { } theirs && theirs != timeoutMs)
            .ToArray();
        if (different.Length > 0)
        {
            yield return new Finding(
                ElectionTimeout, null, Warning,
                "not the same on all members: " + List(
                    different, p => $"{Number(p.ElectionTimeoutMs ?? 0)} ms"),
                "Give all members the same; a leader's lease lasts as long as the shortest.");
        }
    }

    private static Finding TooShort(int timeoutMs, double roundTripMs, int nodeId)
    {
        bool isCritical = timeoutMs < LeastRoundTripsPerTimeout * roundTripMs;
        int times = isCritical ? LeastRoundTripsPerTimeout : GoodRoundTripsPerTimeout;
        int wanted = (int)Math.Ceiling(GoodRoundTripsPerTimeout * roundTripMs / 100) * 100;
        return new Finding(
            ElectionTimeout, null, isCritical ? Critical : Warning,
            $"less than {times} times the round trip to node {Number(nodeId)}, "
                + Milliseconds(roundTripMs),
            $"Set it to {Number(wanted)} ms or more on all members, "
                + "or find out what is slow: network, disk or processor.");
    }

    // The operations guide: LAN, WAN, beyond.
    private static int GuideMs(double latencyMs) =>
        latencyMs < 10 ? 1000 : latencyMs <= 50 ? 2000 : 5000;

    private static Finding Sync(double? meanMs, int timeoutMs)
    {
        var row = new Finding("sync of data_dir", meanMs is { } ms ? Milliseconds(ms) : null);
        if (meanMs > (double)timeoutMs / GoodRoundTripsPerTimeout)
        {
            return row with
            {
                Severity = Critical,
                Text = "a sync takes more than a tenth of the election timeout, "
                    + "so that writes alone can cause elections",
                Advice = "Move pgraft.data_dir to a faster disk.",
            };
        }

        return meanMs > SlowSyncMs
            ? row with
            {
                Severity = Warning,
                Text = $"slower than {SlowSyncMs} ms: the disk does fewer than 100 syncs a second",
                Advice = "Every commit waits for a sync on a majority. Move pgraft.data_dir to an "
                    + "SSD or NVMe disk, if possible to one of its own.",
            }
            : row;
    }

    private static Finding Versions(IReadOnlyList<PeerView> peers)
    {
        string[] versions = [.. peers.Select(p => p.Version).OfType<string>().Distinct()];
        bool isWhole = versions.Length == 1 && peers.All(p => p.Version is not null);
        string? value = peers.Count == 0 ? null
            : isWhole ? versions[0]
            : List(peers, p => p.Version ?? "not heard");
        return versions.Length > 1
            ? new Finding(
                "versions", value, Warning, "members have different versions of pgraft",
                "Finish the upgrade: the followers first, one after another, the leader last.")
            : new Finding("versions", value);
    }

    private static IEnumerable<Finding> NoCommonProtocol(PeerView[] others) =>
        others.Where(p => p.Protocol == 0).Select(p => new Finding(
            "versions", p.Version, Critical,
            $"node {Number(p.Address.NodeId)} and this node cannot work together",
            "Their versions are too far apart; install one in between, or the same on both."));

    // The leader decides what is written; another node's idea of it has no effect.
    private static Finding Data(bool isLeader, NodeFacts facts, PeerView[] others)
    {
        var row = new Finding("data version", isLeader ? Number(facts.DataVersion) : null);
        if (!isLeader || facts.DataVersion >= DataVersions.Newest)
            return row;
        var behind = others.Where(p => (p.DataVersion ?? 0) < DataVersions.Newest);
        return row with
        {
            Severity = Notice,
            Text = "older than this node could write: " + List(
                behind, p => p.DataVersion is { } reads ? $"reads {Number(reads)}" : "not heard"),
            Advice = "It rises by itself when all members have been upgraded and heard.",
        };
    }

    private static string List(IEnumerable<PeerView> peers, Func<PeerView, string> what) =>
        string.Join(", ", peers.Select(p => $"node {Number(p.Address.NodeId)}: {what(p)}"));

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Milliseconds(double ms) =>
        string.Create(CultureInfo.InvariantCulture, $"{ms:0.00} ms");
}
