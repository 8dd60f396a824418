// What a member says of itself to one that asks whether the majority is lost.
// Threading: immutable. Failure: an answer that is cut short is InvalidDataException.
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Recovery;

/// <param name="Term">Its term.</param>
/// <param name="LeaderId">The leader it knows and is in contact with; 0 = none.</param>
/// <param name="CommitIndex">Highest index it knows to be committed.</param>
/// <param name="LastIndex">End of its log.</param>
/// <param name="LastTerm">Term of the entry there.</param>
internal sealed record NodeReport(
    long Term, int LeaderId, long CommitIndex, long LastIndex, long LastTerm)
{
    /// <summary>Whether its log is the newer one (Ongaro 2014 §3.6.1).</summary>
    public bool IsNewerThan(NodeReport other) =>
        LastTerm != other.LastTerm ? LastTerm > other.LastTerm : LastIndex > other.LastIndex;

    public void Write(FrameWriter answer) => answer
        .Int64(Term).Int32(LeaderId).Int64(CommitIndex).Int64(LastIndex).Int64(LastTerm);

    public static NodeReport Read(BodyReader body) =>
        new(body.Int64(), body.Int32(), body.Int64(), body.Int64(), body.Int64());
}
