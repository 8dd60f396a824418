// Writes that are repeated: what is said of them must be true whichever attempt took effect.
using System.Collections.Concurrent;

using PgRaft.Core;
using PgRaft.Core.Requests;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class ProposalRouterTests : IAsyncLifetime
{
    private readonly ConcurrentQueue<RequestId> _ids = new();
    private TestHost _host = null!;
    private TestHost _leader = null!;
    private TestClient _client = null!;

    private FakeNode Node => _host.Node;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        _leader = await TestHost.StartAsync();
        _client = _host.Connect();
        Node.OnForward = ForwardAsync;
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _host.DisposeAsync();
        await _leader.DisposeAsync();
    }

    [Fact]
    public async Task A_compare_and_set_whose_answer_was_lost_is_repeated_and_still_succeeded()
    {
        Node.Follow(2);
        Node.OnForward = async (frame, token) =>
        {
            var answer = await ForwardAsync(frame, token);
            if (_ids.Count > 1)
                return answer;
            Follow(term: 4);
            throw Lost();
        };
        var answer = await CasAsync();
        Assert.True(answer.Status == StatusCode.Ok, answer.Summary);
        Assert.Equal(1L, answer.Value);
        Assert.Single(_ids.Distinct());
        Assert.Equal(2, _leader.Node.Proposals);
        Assert.Equal(1, _leader.Host.StateMachine.Kv.Revision);
    }

    [Fact]
    public async Task A_leader_that_lost_its_own_proposal_repeats_it_with_the_next_one()
    {
        Node.OnPropose = async (command, term, token) =>
        {
            // The entry survived: the next leader has applied it.
            await _leader.Node.ApplyAsync(command, term, token);
            Node.Follow(2);
            throw new PgraftException(StatusCode.OutcomeUnknown, "replaced here");
        };
        var answer = await CasAsync();
        Assert.Equal((StatusCode.Ok, 1L), (answer.Status, answer.Value));
        Assert.Equal(1, _leader.Host.StateMachine.Kv.Revision);
    }

    [Fact]
    public async Task An_entry_s_answer_is_the_index_of_its_first_copy()
    {
        Node.OnPropose = async (command, term, token) =>
        {
            await _leader.Node.ApplyAsync(command, term, token);
            await _leader.Node.ApplyAsync(command, term, token);
            Node.Follow(2);
            throw Lost();
        };
        Assert.Equal(1L, (await _client.CallAsync(RequestCode.LogAppend, null, "x")).Value);
        Assert.Equal(3, _leader.Node.Proposals);
    }

    [Theory]
    [InlineData(StatusCode.NoLeader)]
    [InlineData(StatusCode.NotLeader)]
    [InlineData(StatusCode.NotDone)]
    [InlineData(StatusCode.Busy)]
    [InlineData(StatusCode.Stopping)]
    [InlineData(StatusCode.OutcomeUnknown)]
    public async Task What_is_unknown_stays_unknown_and_is_tried_on(StatusCode later)
    {
        Node.Follow(2);
        int attempts = 0;
        Node.OnForward = (_, _) =>
        {
            if (++attempts < 4)
                Node.Status = Node.Status with { Term = Node.Status.Term + 1 };
            throw attempts == 1 ? Lost() : new PgraftException(later, "later");
        };
        Assert.Equal(StatusCode.OutcomeUnknown, (await PutAsync(200)).Status);
        Assert.Equal(4, attempts);
    }

    [Theory]
    [InlineData(StatusCode.TooLarge)]
    [InlineData(StatusCode.DiskFull)]
    [InlineData(StatusCode.NotFound)]
    public async Task What_is_unknown_is_not_denied_by_a_refusal_of_another_kind(StatusCode later)
    {
        Node.Follow(2);
        int attempts = 0;
        Node.OnForward = (_, _) =>
        {
            Node.Status = Node.Status with { Term = Node.Status.Term + 1 };
            throw ++attempts == 1 ? Lost() : new PgraftException(later, "later");
        };
        Assert.Equal(StatusCode.OutcomeUnknown, (await PutAsync()).Status);
        Assert.Equal(2, attempts);
    }

    [Fact]
    public async Task Once_leaderless_an_unknown_write_is_not_called_undone()
    {
        Node.OnPropose = (_, _, _) =>
        {
            Node.Follow(0);
            throw Lost();
        };
        Assert.Equal(StatusCode.OutcomeUnknown, (await PutAsync(100)).Status);
    }

    [Fact]
    public async Task A_fenced_write_whose_term_is_over_was_certainly_not_done()
    {
        Node.OnPropose = (_, _, _) =>
        {
            Follow(term: 4);
            throw Lost();
        };
        _leader.Node.Lead();
        var answer = await AppendAsync(term: 3);
        Assert.Equal(StatusCode.NotDone, answer.Status);
        Assert.Equal("term 3 is not the current term", answer.Message);
    }

    [Fact]
    public async Task A_fenced_write_that_was_done_in_its_term_succeeds_in_a_later_one()
    {
        Node.OnPropose = async (command, term, token) =>
        {
            await _leader.Node.ApplyAsync(command, term, token);
            _leader.Node.Lead();
            Follow(term: 4);
            throw Lost();
        };
        Assert.Equal(1L, (await AppendAsync(term: 3)).Value);
        Assert.Equal(1, _leader.Node.Proposals);
    }

    [Fact]
    public async Task A_fenced_write_of_a_term_that_has_not_come_is_refused_at_once()
    {
        Assert.Equal(StatusCode.NotDone, (await AppendAsync(term: 9)).Status);
        Node.Follow(2);
        Assert.Equal(StatusCode.NotDone, (await AppendAsync(term: 9)).Status);
        Assert.Single(_ids);
    }

    [Fact]
    public async Task A_refusal_by_a_leader_of_an_earlier_term_is_not_the_last_word()
    {
        int attempts = 0;
        Node.Follow(2);
        Node.OnForward = (frame, token) =>
        {
            if (++attempts == 1)
                throw Lost();
            if (attempts == 3)
            {
                // The term has come and gone.
                _leader.Node.Status = _leader.Node.Status with { Term = 10 };
            }

            var answer = ForwardAsync(frame, token);
            Follow(term: 10);
            return answer;
        };
        var refused = AppendAsync(term: 9);
        await Eventually.TrueAsync(() => attempts == 1, "the first attempt was lost");
        Follow(term: 4);
        Assert.Equal(StatusCode.NotDone, (await refused).Status);
        Assert.Equal(3, attempts);
    }

    [Fact]
    public async Task A_member_is_told_of_a_failed_attempt_as_such()
    {
        _leader.Node.OnPropose = (_, _, _) =>
            throw new PgraftException(StatusCode.NotDone, "replaced", "d", "h");
        byte[] frame =
            [.. new byte[RequestId.EncodedBytes], .. TestClient.Frame(20, 1, 100, "k", "v", 0L)];
        var token = TestContext.Current.CancellationToken;
        var answer = Answer.Parse((await _leader.Node.ForwardHandler!(frame, token)).Span[4..]);
        Assert.Equal((StatusCode.NotLeader, "replaced"), (answer.Status, answer.Message));
    }

    [Fact]
    public async Task A_forgotten_session_is_taken_up_again_after_a_read_barrier()
    {
        Forget();
        Node.Follow(2);
        int barriers = 0;
        Node.OnReadBarrier = _ =>
        {
            barriers++;
            _host.Host.StateMachine.Restore(_leader.Host.StateMachine.Capture());
            return new(0L);
        };
        var answer = await PutAsync();
        Assert.True(answer.Status == StatusCode.Ok, answer.Summary);
        Assert.Equal(1, barriers);
        Assert.Equal(2, _ids.Count);
        Assert.True(_ids.Last().BaseIndex > 0);
        Assert.NotEqual(_ids.First().Sequence, _ids.Last().Sequence);
    }

    [Fact]
    public async Task A_leader_s_own_forgotten_session_is_taken_up_again()
    {
        int proposals = 0;
        Node.OnPropose = (command, term, token) => ++proposals == 1
            ? new(new PgRaft.Consensus.Proposal(
                1, 3, new ApplyResult { Status = StatusCode.NotFound, Revision = 0 }))
            : Node.ApplyAsync(command, term, token);
        Assert.Equal(1L, (await PutAsync()).Value);
        Assert.Equal(2, proposals);
    }

    [Fact]
    public async Task A_leader_that_does_not_answer_is_left_once_another_is_known()
    {
        var asked = Eventually.NewSignal();
        Node.Follow(3);
        Node.OnForward = async (frame, token) =>
        {
            if (_ids.IsEmpty)
            {
                _ids.Enqueue(ForwardedRequest.Read(frame).Id);
                asked.SetResult();
                await Task.Delay(Timeout.Infinite, token).ContinueWith(
                    _ => { }, TaskScheduler.Default);
                throw Lost();
            }

            return await ForwardAsync(frame, token);
        };
        var answer = PutAsync(60_000);
        await Eventually.InTimeAsync(asked.Task);
        Node.Follow(0);
        Follow(term: 4);
        Assert.Equal(1L, (await Eventually.InTimeAsync(answer)).Value);
        Assert.Single(_ids.Distinct());
    }

    [Fact]
    public async Task Requests_one_after_another_share_a_slot()
    {
        Node.Follow(2);
        for (int i = 0; i < 3; i++)
            await PutAsync();
        Assert.Equal([(0, 1L), (0, 2L), (0, 3L)], _ids.Select(i => (i.Slot, i.Sequence)));
        Assert.Single(_ids.Select(i => i.Session).Distinct());
        Assert.NotEqual(0ul, _ids.First().Session);
    }

    [Fact]
    public async Task Requests_at_the_same_time_have_slots_of_their_own_and_give_them_back()
    {
        Node.Follow(2);
        var proceed = Eventually.NewSignal();
        Node.OnForward = async (frame, token) =>
        {
            _ids.Enqueue(ForwardedRequest.Read(frame).Id);
            await proceed.Task.WaitAsync(token);
            return await _leader.Node.ForwardHandler!(frame, token);
        };
        using var other = _host.Connect();
        var both = new[] { PutAsync(), other.CallAsync(RequestCode.KvDelete, "k") };
        await Eventually.TrueAsync(() => _ids.Count == 2, "both are under way");
        proceed.SetResult();
        await Task.WhenAll(both);
        await PutAsync();
        Assert.Equal([0, 1], _ids.Take(2).Select(i => i.Slot).Order());
        Assert.InRange(_ids.Last().Slot, 0, 1);
        Assert.Equal(2, _ids.Last().Sequence);
    }

    [Fact]
    public async Task A_refused_argument_gives_its_slot_back()
    {
        Node.Follow(2);
        var bad = await _client.CallAsync(RequestCode.KvPut, "", "v", 0L);
        Assert.Equal(StatusCode.BadArgument, bad.Status);
        await PutAsync();
        Assert.Equal((0, 2L), (Assert.Single(_ids).Slot, _ids.First().Sequence));
    }

    // A member of an older version joined between two attempts.
    [Fact]
    public async Task A_command_is_made_anew_when_a_member_reads_less()
    {
        var proposed = new List<int>();
        Node.DataVersion = 4;
        Node.OnPropose = (command, _, _) =>
        {
            proposed.Add(command.Span[0]);
            if (proposed.Count > 1)
                return new(new Consensus.Proposal(1, 3, default));
            Node.DataVersion = 3;
            Node.Lead();
            throw new PgraftException(StatusCode.NotLeader, "not for a moment");
        };
        using var watch = new Server.Requests.LeadershipWatch(Node);
        var router = new Server.Requests.ProposalRouter(
            Node, watch, new Server.Requests.ClusterErrors(Node, watch, 1),
            new Server.Requests.RequestSession(new StateMachine()));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(
            TestContext.Current.CancellationToken);
        var context = new Server.Requests.RequestContext(default, default, null, limit, null);
        using var response = new ResponseBuilder(new MemoryBudget(0));

        await router.ProposeAsync(
            context, response, (_, _) => [(byte)Node.DataVersion], 0, (_, _) => { });

        Assert.Equal([4, 3], proposed);
    }

    [Fact]
    public void More_writes_at_once_than_slots_are_refused()
    {
        var session = new Server.Requests.RequestSession(new StateMachine());
        var ids = Enumerable.Range(0, Limits.MaxSlotsPerSession).Select(_ => session.Rent())
            .ToArray();
        Assert.Equal(ids.Length, ids.Select(i => i.Slot).Distinct().Count());
        var error = Assert.Throws<PgraftException>(() => session.Rent());
        Assert.Equal(StatusCode.Busy, error.Code);
        session.Return(ids[7]);
        Assert.Equal((7, 2L), (session.Rent().Slot, 2L));
        var another = new Server.Requests.RequestSession(new StateMachine());
        Assert.NotEqual(ids[0].Session, another.Rent().Session);
    }

    private void Follow(long term) => Node.Status = Node.Status with
    {
        Role = Consensus.NodeRole.Follower,
        Term = term,
        LeaderId = 2,
        LeaseDeadlineNs = 0,
        LeaderDeadlineNs = long.MaxValue,
    };

    // More sessions than are remembered have written through the leader.
    private void Forget()
    {
        var machine = _leader.Host.StateMachine;
        for (int i = 1; i <= Limits.MaxSessions + 1; i++)
        {
            var id = new RequestId((ulong)i, 0, 1, 0);
            machine.Apply(i, 1, Core.Commands.CommandEncoder.KvDelete("x"u8, id));
        }
    }

    private Task<Answer> PutAsync(int timeoutMs = 10_000) =>
        _client.CallWithinAsync(RequestCode.KvPut, timeoutMs, "k", "v", 0L);

    private Task<Answer> CasAsync() => _client.CallAsync(RequestCode.KvCas, "k", 0L, "v");

    private Task<Answer> AppendAsync(long term) =>
        _client.CallAsync(RequestCode.LogAppend, term, "x");

    private static PgraftException Lost() => new(StatusCode.OutcomeUnknown, "lost");

    private ValueTask<ReadOnlyMemory<byte>> ForwardAsync(
        ReadOnlyMemory<byte> frame, CancellationToken token)
    {
        _ids.Enqueue(ForwardedRequest.Read(frame).Id);
        return _leader.Node.ForwardHandler!(frame, token);
    }
}
