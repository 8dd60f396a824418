namespace PgRaft.Consensus.Transport;

/// <summary>A peer did not answer.</summary>
/// <param name="message">What happened, for the log.</param>
/// <param name="requestLeft">Whether the request may have reached the peer; then its effect is
/// unknown.</param>
/// <param name="inner">The cause.</param>
internal sealed class PeerUnavailableException(
    string message, bool requestLeft, Exception? inner = null) : IOException(message, inner)
{
    /// <summary>Whether the request may have reached the peer.</summary>
    public bool RequestLeft { get; } = requestLeft;

    /// <summary>Whether the peer, or whoever is at its address, answered the hello by a refusal:
    /// trying again is of no use before somebody has changed something.</summary>
    public bool IsRefusal { get; } = inner is PeerRefusedException;

    /// <summary>Whether it is a refusal by, or of, the node that was looked for, because the two
    /// versions do not work together.</summary>
    public bool IsVersionRefusal { get; } = inner is PeerRefusedException { IsForVersion: true };
}
