// Where a server lives: an address, the network namespace that has it, and what it sees where a
// host of its own would have PostgreSQL's directory.
// Threading: immutable. Failure: none.

namespace PgRaft.Harness;

/// <param name="Address">IP address of the server, for clients and for peers.</param>
/// <param name="NetworkNamespace">Name of its namespace; null is the caller's own.</param>
public sealed record ServerPlace(string Address, string? NetworkNamespace)
{
    /// <summary>Where Debian's PostgreSQL is at home.</summary>
    public const string HomeSeen = "/var/lib/postgresql";

    public static readonly ServerPlace Loopback = new("127.0.0.1", null);

    /// <summary>The directory that the server sees as <see cref="HomeSeen"/>; null is the
    /// machine's own. Needs a network namespace.</summary>
    public string? Home { get; init; }

    /// <summary>The file that stands for a named network namespace.</summary>
    internal static string FileOf(string networkNamespace) => $"/run/netns/{networkNamespace}";
}
