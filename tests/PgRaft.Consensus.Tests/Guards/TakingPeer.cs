// The other of two voters, for a real leader that hands over: votes for it, takes its entries, and
// answers its request to stand as the test says. Notes what the leader shows at that moment.
// Threading: requests of one connection come one after another; the lists are for the test to read
// later. Failure: what the test's answer throws closes the connection.
using System.Collections.Concurrent;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Tests.Guards;

internal sealed class TakingPeer : IAsyncDisposable
{
    private readonly FakePeer _fake;
    private readonly ConcurrentQueue<(long Term, long ConsentTerm)> _votes = new();

    private TakingPeer(FakePeer fake, TestCluster cluster)
    {
        _fake = fake;
        Cluster = cluster;
    }

    public TestCluster Cluster { get; }

    public TestNode Leader => Cluster[1];

    /// <summary>Asked to vote, in this order; 0 = without anybody's consent.</summary>
    public IReadOnlyCollection<(long Term, long ConsentTerm)> Votes => _votes;

    /// <summary>Answers the request to stand for the election after a term.</summary>
    public Func<long, FrameWriter, CancellationToken, ValueTask> OnTimeoutNow { get; set; } =
        (term, answer, _) =>
        {
            answer.Int64(term).Byte(0);
            return ValueTask.CompletedTask;
        };

    /// <summary>A pair of which the real one leads.</summary>
    public static async Task<TakingPeer> FollowAsync()
    {
        TakingPeer? taking = null;
        var fake = await FakePeer.StartAsync((request, answer, token) =>
            taking!.AnswerAsync(request, answer, token));
        var cluster = new TestCluster { ElectionTimeout = 900 };
        taking = new TakingPeer(fake, cluster);
        cluster.Found([cluster.Add(1).Address, fake.Address]);
        await cluster[1].StartAsync(TestCluster.Limit);
        await cluster.LeaderAsync();
        await cluster.UntilAsync(() => cluster[1].Node.HoldsLease, "the lease");
        return taking;
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        await _fake.DisposeAsync();
    }

    private ValueTask AnswerAsync(Frame request, FrameWriter answer, CancellationToken token)
    {
        var body = new BodyReader(request.Body);
        long term = body.Int64();
        switch (request.Type)
        {
            case MessageType.TimeoutNow:
                return OnTimeoutNow(term, answer, token);
            case MessageType.PreVote:
                answer.Int64(term).Byte((byte)PreVoteResult.Accepted);
                return ValueTask.CompletedTask;
            case MessageType.Vote:
                body.Int64();
                body.Int64();
                _votes.Enqueue((term, body.Rest.IsEmpty ? 0 : body.Int64()));
                answer.Int64(term).Byte(1);
                return ValueTask.CompletedTask;
            case MessageType.Append:
                FakePeer.Take(request, answer);
                return ValueTask.CompletedTask;
            default:
                throw new InvalidDataException($"Not expected: {request.Type}.");
        }
    }
}
