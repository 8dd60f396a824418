// What a member's id, host and port may look like, and the syntax of the founding members' list
// (pgraft.initial_cluster): 1=host:port,2=[v6]:port,...
// Threading: pure. Failure: PgraftException(BadArgument) that names the offender and what is
// allowed.
using System.Globalization;
using System.Net;
using System.Net.Sockets;

using PgRaft.Consensus;
using PgRaft.Core;

namespace PgRaft.Server.Hosting;

internal static class MemberSyntax
{
    private const int MaxHostLength = 253;
    private const int MaxPort = 65535;

    /// <summary>A member whose parts have been checked.</summary>
    public static MemberAddress Checked(int nodeId, string host, int port)
    {
        CheckNodeId(nodeId);
        CheckHost(host);
        CheckPort(port);
        return new MemberAddress(nodeId, host, port);
    }

    public static void CheckNodeId(int nodeId)
    {
        if (nodeId is < Limits.MinNodeId or > Limits.MaxNodeId)
        {
            throw Bad(
                $"node id {Number(nodeId)} is out of range",
                $"Allowed are {Number(Limits.MinNodeId)} to {Number(Limits.MaxNodeId)}.");
        }
    }

    /// <summary>Whether peers can dial it: no wildcard, no space, at most 253 characters.
    /// The shim has the same rule (guc_check.c).</summary>
    public static bool IsHost(string host) => IsHostName(host) || IsDialableAddress(host);

    private static void CheckHost(string host)
    {
        if (!IsHost(host))
        {
            throw Bad(
                $"\"{host}\" is not a usable address",
                "Allowed is a host name or an IP address that the other members can reach.");
        }
    }

    public static void CheckPort(int port)
    {
        if (port is < 1 or > MaxPort)
        {
            throw Bad(
                $"port {Number(port)} is out of range", $"Allowed are 1 to {Number(MaxPort)}.");
        }
    }

    /// <summary>Reads the list of founding members; empty text gives an empty list.</summary>
    /// <param name="list">The setting's text.</param>
    /// <param name="selfId">Must be in the list unless that is empty.</param>
    public static IReadOnlyList<MemberAddress> ParseInitialCluster(string list, int selfId)
    {
        if (string.IsNullOrWhiteSpace(list))
            return [];
        var members = new List<MemberAddress>();
        foreach (string part in list.Split(',', StringSplitOptions.TrimEntries))
        {
            var member = ParseMember(part);
            if (members.Any(m => m.NodeId == member.NodeId))
                throw InitialCluster($"node {Number(member.NodeId)} appears twice");
            members.Add(member);
        }

        return members.Any(m => m.NodeId == selfId)
            ? members
            : throw InitialCluster($"node {Number(selfId)}, this node, is missing");
    }

    private static MemberAddress ParseMember(string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        int colon = text.LastIndexOf(':');
        if (equals <= 0 || colon <= equals
            || !TryNumber(text.AsSpan(0, equals), out int nodeId)
            || !TryNumber(text.AsSpan(colon + 1), out int port))
        {
            throw InitialCluster($"\"{text}\" is not of the form id=host:port");
        }

        string host = text[(equals + 1)..colon];
        bool bracketed = host.StartsWith('[') && host.EndsWith(']');
        if (!bracketed && host.Contains(':', StringComparison.Ordinal))
            throw InitialCluster($"the IPv6 address in \"{text}\" needs brackets");
        return Checked(nodeId, bracketed ? host[1..^1] : host, port);
    }

    private static bool IsHostName(string host)
    {
        bool shaped = host.Length is > 0 and <= MaxHostLength
            && host[0] is not ('-' or '.')
            && host.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');
        // Digits and dots alone are an IPv4 address or nothing.
        return shaped && host.Any(c => !char.IsAsciiDigit(c) && c != '.');
    }

    private static bool IsDialableAddress(string host)
    {
        if (!IPAddress.TryParse(host, out var address) || host.StartsWith('['))
            return false;
        bool isWhole = address.AddressFamily == AddressFamily.InterNetworkV6
            || host.Count(c => c == '.') == 3;
        return isWhole && !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any);
    }

    private static bool TryNumber(ReadOnlySpan<char> text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static PgraftException Bad(string message, string? detail) =>
        new(StatusCode.BadArgument, message, detail);

    private static PgraftException InitialCluster(string detail) => new(
        StatusCode.BadArgument,
        "initial_cluster is not valid",
        detail + ".",
        "Write it as 1=host:port,2=host:port and identically on every founding member.");
}
