// Which versions of the peer protocol and of the replicated data this build has. Each member says
// its ranges in its hello; a connection speaks the newest protocol that both sides have. Members
// that have none in common, or of which one could not read the other's data, refuse each other.
//
// Protocol: a new message, a new field in one, another meaning of an old one need a new number, and
// code for both until the older one is dropped. The hello itself must stay readable for ever.
// Threading: immutable. Failure: none.
using System.Globalization;
using PgRaft.Core;

namespace PgRaft.Consensus.Transport;

/// <summary>Version numbers from <paramref name="Oldest"/> to <paramref name="Newest"/>, both
/// included.</summary>
internal readonly record struct VersionRange(int Oldest, int Newest)
{
    /// <summary>The newest number in both; 0 = there is none.</summary>
    public int NewestCommon(VersionRange other)
    {
        int newest = Math.Min(Newest, other.Newest);
        return newest >= Math.Max(Oldest, other.Oldest) ? newest : 0;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Oldest}{(Oldest == Newest ? string.Empty : $" to {Newest}")}");
}

/// <summary>The versions of a member.</summary>
/// <param name="Protocol">Peer protocols it speaks.</param>
/// <param name="Data">From the oldest data version it writes to the newest it reads.</param>
internal sealed record NodeVersions(VersionRange Protocol, VersionRange Data)
{
    private const int OldestProtocol = 1;
    private const int NewestProtocol = 1 + Ahead;

#if PGRAFT_NEXT_VERSION
    // A build that stands for the next release in tests of upgrades; with the variable it stands
    // for one that has dropped the older protocols.
    private const int Ahead = 1;

    private static int OldestSpoken => int.TryParse(
        Environment.GetEnvironmentVariable("PGRAFT_TEST_OLDEST_PROTOCOL"),
        CultureInfo.InvariantCulture,
        out int oldest) ? oldest : OldestProtocol;
#else
    private const int Ahead = 0;

    private static int OldestSpoken => OldestProtocol;
#endif

    /// <summary>Those of this build.</summary>
    public static NodeVersions OfThisBuild { get; } = new(
        new VersionRange(OldestSpoken, NewestProtocol),
        new VersionRange(DataVersions.OldestWritten, DataVersions.Newest));
}
