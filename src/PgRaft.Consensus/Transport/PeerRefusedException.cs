namespace PgRaft.Consensus.Transport;

/// <summary>The node at the other end answered, and one of the two will not work with the other.
/// It lasts until one of them is changed.</summary>
/// <param name="message">Why, for the log.</param>
internal sealed class PeerRefusedException(string message) : IOException(message);
