// Where a member is, as the engine shows it in its log lines: "host:port". A DnsEndPoint would put
// an address family before it that means nothing here. Connections are made from MemberAddress.
// Threading: immutable. Failure: none.
using System.Net;
using System.Net.Sockets;

namespace PgRaft.Consensus.Engine;

/// <summary>A member's host and port; equal when both are.</summary>
internal sealed class MemberEndPoint(MemberAddress address) : EndPoint
{
    private readonly (string Host, int Port) _place = (address.Host, address.Port);

    /// <inheritdoc/>
    public override AddressFamily AddressFamily => AddressFamily.Unspecified;

    /// <inheritdoc/>
    public override string ToString() => $"{_place.Host}:{_place.Port}";

    /// <inheritdoc/>
    public override bool Equals(object? other) =>
        other is MemberEndPoint endPoint && endPoint._place == _place;

    /// <inheritdoc/>
    public override int GetHashCode() => _place.GetHashCode();
}
