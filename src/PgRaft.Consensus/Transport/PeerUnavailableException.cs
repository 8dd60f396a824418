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
}
