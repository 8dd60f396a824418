// What one run is: everything in it that a seed decides is drawn from here.
// Threading: immutable. Failure: none.
namespace PgRaft.Consensus.Tests.Faults;

/// <summary>How the members' clocks run.</summary>
internal enum ClockFaults
{
    None,

    /// <summary>Up to 4 % fast or slow: within what leases allow for.</summary>
    Rates,

    /// <summary>They also jump: leases mean nothing, all else must hold.</summary>
    Jumps,
}

/// <summary>Ways to break the system on purpose: controls that must be caught.</summary>
internal enum Sabotage
{
    None,

    /// <summary>Reads are answered from local state.</summary>
    StaleReads,

    /// <summary>The log's syncs are one behind: entries are acknowledged before they are durable.
    /// </summary>
    LogNotSynced,

    /// <summary>The term file's syncs are one behind: votes are given before they are durable.
    /// </summary>
    VoteNotSynced,

    /// <summary>Clocks run at a quarter and double speed: leases outlive voters' patience.
    /// </summary>
    LeaseTooLong,

    /// <summary>The proxy answers appends for members that do not have them: commits without a
    /// quorum.</summary>
    ForgedAcknowledgements,

    /// <summary>A call that is repeated gets a new request id: it can take effect twice.</summary>
    RetriesAreNew,

    /// <summary>A compare-and-swap swaps and does not compare.</summary>
    CompareIgnored,

    /// <summary>An append does not say for which term it is meant.</summary>
    FenceIgnored,

    /// <summary>The proxy asks members in their leader's name to stand for election: voters let
    /// them through while the leader has its lease.</summary>
    ForgedConsent,
}

/// <summary>One run.</summary>
internal sealed record FaultPlan(int Seed, int Size)
{
    public TimeSpan Duration => TimeSpan.FromSeconds(Sabotage == Sabotage.None ? 2.5 : 1.5);

    public int ElectionTimeoutMs { get; init; } = 150;

    public Sabotage Sabotage { get; init; }

    public ClockFaults Clocks => Sabotage == Sabotage.LeaseTooLong ? ClockFaults.None
        : (Seed % 4) switch
        {
            0 or 1 => ClockFaults.None,
            2 => ClockFaults.Rates,
            _ => ClockFaults.Jumps,
        };

    /// <summary>Whether members come and go; in controls they would only be in the way.</summary>
    public bool MembersChange => Sabotage == Sabotage.None && Seed % 3 != 0;

    public override string ToString() => $"seed {Seed}, {Size} members"
        + (Sabotage == Sabotage.None ? "" : $", sabotage {Sabotage}");
}
