// The versions of the replicated data: commands in the log and snapshots of the state. One number
// for both, because a member that cannot read the one cannot follow by the other.
//
// The rule that makes rolling upgrades work: a member reads all versions from OldestRead to Newest,
// the leader writes the newest that every member reads, and a snapshot is written in the version of
// the newest command it covers. So a version appears in the log only when nobody is left who could
// not read it. A new type of command, a new field, another meaning of an old one: each needs a new
// version here, and golden files for it.
// Threading: constants. Failure: TooNew makes the error; nothing is thrown here.
using System.Globalization;

namespace PgRaft.Core;

/// <summary>Versions of commands and snapshots.</summary>
public static class DataVersions
{
    /// <summary>Oldest version that is read.</summary>
    public const int OldestRead = 1;

    /// <summary>Oldest version that is written: no member may read less.</summary>
    public const int OldestWritten = 2;

    /// <summary>Newest version that is read and written.</summary>
    public const int Newest = 2 + Ahead;

#if PGRAFT_NEXT_VERSION
    // A build that stands for the next release in tests of upgrades (tests/PgRaft.Upgrade.Tests).
    private const int Ahead = 1;
#else
    private const int Ahead = 0;
#endif

    /// <summary>The error for data of a version that this build does not read.</summary>
    /// <param name="what">What has that version, as the subject of a sentence.</param>
    /// <param name="version">Its version.</param>
    /// <param name="newest">Newest version that is read of such things.</param>
    public static PgraftException TooNew(string what, long version, long newest = Newest) => new(
        StatusCode.WrongState,
        string.Create(
            CultureInfo.InvariantCulture,
            $"{what} has version {version}, but this pgraft reads no newer one than {newest}"),
        "A newer pgraft wrote it.",
        "Install the pgraft version that wrote it, or a newer one. There is no way back once all "
        + "members of a cluster were upgraded; see docs/upgrading.md.");
}
