// A peer that votes, takes entries and takes snapshots when the test says so.
// Threading: told by the test's thread, answers on the listener's. Failure: what it is told to
// refuse breaks the connection.
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Tests.Guards;

internal sealed class ScriptedPeer
{
    public volatile bool Votes;
    public volatile bool Appends;

    /// <summary>It answers as if its log were empty, and so needs a snapshot.</summary>
    public volatile bool IsEmpty;
    private int _preVotes;
    private int _refused;

    /// <summary>Awaited before an append is answered, with the kinds of its entries.</summary>
    public Func<IReadOnlyList<EntryKind>, CancellationToken, Task>? BeforeAppend { get; init; }

    /// <summary>Awaited before a piece of a snapshot is acknowledged.</summary>
    public Func<CancellationToken, Task>? BeforePiece { get; init; }

    /// <summary>Pre-votes it was asked for.</summary>
    public int PreVotes => Volatile.Read(ref _preVotes);

    /// <summary>Votes and pre-votes refused.</summary>
    public int Refused => Volatile.Read(ref _refused);

    public async ValueTask Answer(Frame request, FrameWriter answer, CancellationToken token)
    {
        var body = new BodyReader(request.Body);
        long term = body.Int64();
        switch (request.Type)
        {
            case MessageType.PreVote or MessageType.Vote:
                Count(request.Type);
                answer.Int64(term).Byte(Votes ? (byte)1 : (byte)0);
                break;
            case MessageType.Append:
                await (BeforeAppend?.Invoke(KindsOf(body), token) ?? Task.CompletedTask);
                AnswerAppend(term, answer);
                break;
            case MessageType.SnapshotBegin:
                answer.Int64(term).Byte((byte)SnapshotAnswer.Accepted);
                break;
            case MessageType.SnapshotChunk:
                await (BeforePiece?.Invoke(token) ?? Task.CompletedTask);
                answer.Int64(term).Byte((byte)SnapshotAnswer.Accepted);
                break;
            default:
                throw Cut();
        }
    }

    private static InvalidDataException Cut() => new("The test cut it.");

    private static List<EntryKind> KindsOf(BodyReader body)
    {
        // After the term: previous index, previous term, commit index.
        body.Int64();
        body.Int64();
        body.Int64();
        var kinds = new List<EntryKind>();
        for (int left = body.Int32(); left > 0; left--)
        {
            body.Int64();
            kinds.Add((EntryKind)body.Byte());
            body.Bytes();
        }

        return kinds;
    }

    private void Count(MessageType type)
    {
        if (type == MessageType.PreVote)
        {
            Interlocked.Increment(ref _preVotes);
        }

        if (!Votes)
        {
            Interlocked.Increment(ref _refused);
        }
    }

    private void AnswerAppend(long term, FrameWriter answer)
    {
        if (IsEmpty)
        {
            answer.Int64(term).Byte((byte)HeartbeatResult.Rejected).Int64(0);
        }
        else if (Appends)
        {
            answer.Int64(term).Byte((byte)HeartbeatResult.Replicated).Int64(100);
        }
        else
        {
            throw Cut();
        }
    }
}
