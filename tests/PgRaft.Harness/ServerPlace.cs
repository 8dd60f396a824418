// Where a server listens: an address, and the network namespace that has it.
// Threading: immutable. Failure: none.

namespace PgRaft.Harness;

/// <param name="Address">IP address of the server, for clients and for peers.</param>
/// <param name="NetworkNamespace">Name of its namespace; null is the caller's own.</param>
public sealed record ServerPlace(string Address, string? NetworkNamespace)
{
    public static readonly ServerPlace Loopback = new("127.0.0.1", null);

    /// <summary>The file that stands for a named network namespace.</summary>
    internal static string FileOf(string networkNamespace) => $"/run/netns/{networkNamespace}";
}
