namespace PgRaft.Consensus.Transport;

/// <summary>The node at the other end answered, and one of the two will not work with the other.
/// It lasts until one of them is changed.</summary>
/// <param name="message">Why, for the log.</param>
/// <param name="isForVersion">Whether it is the node that was looked for, but in a version that
/// does not work with this one.</param>
internal sealed class PeerRefusedException(string message, bool isForVersion)
    : IOException(message)
{
    /// <summary>Whether it is the node that was looked for, in a version that does not work with
    /// this one.</summary>
    public bool IsForVersion { get; } = isForVersion;
}
