// The result of the last request applied in a slot. Threading: a value. Failure: none.
namespace PgRaft.Core.Requests;

/// <summary>What came of the last request of a slot; nothing was applied in it while
/// <see cref="Sequence"/> is 0.</summary>
internal readonly record struct SlotResult(
    long Sequence, long Index, long Revision, StatusCode Status, bool Existed, bool Matched)
{
    public static SlotResult Of(RequestId id, ApplyResult result) => new(
        id.Sequence, result.Index, result.Revision, result.Status, result.Existed, result.Matched);

    public ApplyResult ToResult() => new()
    {
        Status = Status,
        Revision = Revision,
        Index = Index,
        Existed = Existed,
        Matched = Matched,
    };
}
