using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Core.Requests;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class LeaderRouterTests : IAsyncLifetime
{
    private TestHost _host = null!;
    private TestHost _leader = null!;
    private TestClient _client = null!;
    private int _forwards;

    private FakeNode Node => _host.Node;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        _leader = await TestHost.StartAsync();
        _client = _host.Connect();
        Node.Members =
        [
            new MemberView(new MemberAddress(1, "10.0.0.1", 7001), false, true),
            new MemberView(new MemberAddress(2, "10.0.0.2", 7001), false, false),
            new MemberView(new MemberAddress(3, "10.0.0.3", 7001), false, false),
        ];
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _host.DisposeAsync();
        await _leader.DisposeAsync();
    }

    [Fact]
    public async Task A_follower_passes_a_write_on_and_relays_the_answer()
    {
        FollowTheLeader();
        Assert.Equal(1L, (await PutAsync()).Value);
        Assert.Equal(true, (await _client.CallAsync(RequestCode.KvDelete, "k")).Value);
        Assert.Equal(2, _forwards);
        Assert.Equal(0, Node.Proposals);
        Assert.Equal(2, _leader.Node.Proposals);
    }

    [Fact]
    public async Task The_leader_s_refusal_is_relayed_with_its_texts()
    {
        FollowTheLeader();
        _leader.Node.OnPropose = (_, _, _) =>
            throw new PgraftException(StatusCode.DiskFull, "no space", "d", "h");
        var answer = await PutAsync();
        Assert.Equal(StatusCode.DiskFull, answer.Status);
        Assert.Equal(["no space", "d", "h"], answer.Rows[0]);
    }

    [Fact]
    public async Task The_forwarded_request_carries_the_time_that_is_left()
    {
        Node.Follow(0);
        RequestHeader header = default;
        Node.OnForward = (frame, token) =>
        {
            header = RequestHeader.Read(ForwardedRequest.Read(frame).Body.Span);
            return ForwardAsync(frame, token);
        };
        var answer = PutAsync(9000);
        await Eventually.TrueAsync(() => _host.Status.Last.RequestsPending == 1, "it waits");
        await Eventually.TrueAsync(HasMillisecondPassed(), "time goes by");
        Node.Follow(2);
        Assert.Equal(StatusCode.Ok, (await answer).Status);
        Assert.InRange(header.TimeoutMs, 1, 8999);
    }

    [Theory]
    [InlineData(StatusCode.NotLeader)]
    [InlineData(StatusCode.NotDone)]
    [InlineData(StatusCode.NoLeader)]
    public async Task A_certain_failure_is_tried_again_when_leadership_changes(StatusCode code)
    {
        var failed = Eventually.NewSignal();
        Node.Follow(2);
        Node.OnForward = (frame, token) =>
        {
            if (++_forwards > 1)
                return ForwardAsync(frame, token);
            failed.SetResult();
            throw new PgraftException(code, "not now");
        };
        var answer = PutAsync();
        await Eventually.InTimeAsync(failed.Task);
        Node.Status = Node.Status with { Term = 4, LeaderId = 3 };
        Assert.Equal(1L, (await answer).Value);
        Assert.Equal(2, _forwards);
    }

    [Fact]
    public async Task It_is_tried_again_when_the_same_leader_is_heard_from()
    {
        var failed = Eventually.NewSignal();
        Node.Follow(2);
        Node.OnForward = (frame, token) =>
        {
            if (++_forwards > 1)
                return ForwardAsync(frame, token);
            failed.SetResult();
            throw new PgraftException(StatusCode.NoLeader, "connection refused");
        };
        var answer = PutAsync();
        await Eventually.InTimeAsync(failed.Task);
        Node.Status = Node.Status with { LeaderDeadlineNs = long.MaxValue - 1 };
        Assert.Equal(1L, (await answer).Value);
    }

    [Fact]
    public async Task It_is_not_tried_again_while_nothing_has_changed()
    {
        Node.Follow(2);
        Node.OnForward = (_, _) =>
        {
            _forwards++;
            throw new PgraftException(StatusCode.NotDone, "not now");
        };
        var answer = await PutAsync(150);
        Assert.Equal((StatusCode.NotDone, 1), (answer.Status, _forwards));
    }

    [Fact]
    public async Task A_request_without_an_id_is_not_tried_again_when_its_outcome_is_unknown()
    {
        Node.OnForward = (_, _) =>
        {
            _forwards++;
            Node.Status = Node.Status with { Term = Node.Status.Term + 1 };
            throw new PgraftException(StatusCode.OutcomeUnknown, "lost");
        };
        Node.OnYield = _ =>
        {
            Node.Follow(2);
            return Task.FromResult(2);
        };
        var answer = await _client.CallAsync(RequestCode.RemoveNode, 1);
        Assert.Equal((StatusCode.OutcomeUnknown, 1), (answer.Status, _forwards));
    }

    [Fact]
    public async Task An_answer_that_is_no_answer_leaves_the_outcome_unknown()
    {
        Node.Follow(2);
        Node.OnForward = (_, _) => new(new byte[] { 1, 2, 3 });
        Assert.Equal(StatusCode.OutcomeUnknown, (await PutAsync(100)).Status);
    }

    [Fact]
    public async Task Losing_leadership_before_the_proposal_sends_the_write_to_the_next_leader()
    {
        Node.OnForward = ForwardAsync;
        Node.OnPropose = (_, _, _) =>
        {
            Node.Follow(2);
            throw new PgraftException(StatusCode.NotLeader, "deposed");
        };
        Assert.Equal(1L, (await PutAsync()).Value);
        Assert.Equal(1, _leader.Node.Proposals);
    }

    [Fact]
    public async Task Without_a_leader_the_error_says_since_when_and_who_answers()
    {
        Node.Follow(0);
        var answer = await PutAsync(200);
        Assert.Equal(StatusCode.NoLeader, answer.Status);
        Assert.Matches(@"^No leader known for \d+\.\d s; 1 of 3 members answer\.$", answer.Detail);
        var read = await _client.CallWithinAsync(RequestCode.KvGet, 100, "k", true);
        Assert.Equal(StatusCode.NoLeader, read.Status);
        Assert.StartsWith("No leader known for ", read.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Members_that_cannot_be_judged_are_not_counted_as_answering()
    {
        Node.Members = [.. Node.Members.Select(m => m with { IsActive = null })];
        Node.Follow(0);
        Assert.EndsWith(
            "1 of 3 members answer, 2 cannot be judged from here.",
            (await PutAsync(1)).Detail,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_read_waits_for_a_leader_and_then_goes_through()
    {
        Node.Follow(0);
        var answer = _client.CallAsync(RequestCode.KvGet, "k", true);
        await Eventually.TrueAsync(() => _host.Status.Last.RequestsPending == 1, "it waits");
        Node.Follow(2);
        Assert.Equal(StatusCode.Ok, (await answer).Status);
    }

    [Fact]
    public async Task A_read_is_tried_again_even_after_an_unknown_outcome()
    {
        int barriers = 0;
        Node.OnReadBarrier = _ =>
        {
            if (++barriers > 1)
                return new(1L);
            Node.Lead();
            throw new PgraftException(StatusCode.OutcomeUnknown, "lost");
        };
        Assert.Equal(StatusCode.Ok, (await _client.CallAsync(RequestCode.LogSync)).Status);
        Assert.Equal(2, barriers);
    }

    [Fact]
    public async Task A_read_no_majority_confirms_times_out_and_changed_nothing()
    {
        Node.OnReadBarrier = async token =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return 0;
        };
        var answer = await _client.CallWithinAsync(RequestCode.LogSync, 100);
        Assert.Equal(StatusCode.TimedOut, answer.Status);
        Assert.Equal("1 of 3 members answer.", answer.Detail);
    }

    [Fact]
    public async Task A_read_that_meets_a_storage_error_reports_it()
    {
        Node.OnReadBarrier = _ => throw new PgraftException(StatusCode.IoError, "bad disk");
        Assert.Equal(
            StatusCode.IoError, (await _client.CallAsync(RequestCode.LogSync)).Status);
    }

    [Fact]
    public async Task A_write_whose_time_is_up_after_it_left_is_unknown()
    {
        Node.OnPropose = async (_, _, token) =>
        {
            try
            {
                await Task.Delay(Timeout.Infinite, token);
            }
            catch (OperationCanceledException)
            {
                throw new PgraftException(StatusCode.OutcomeUnknown, "left");
            }

            return default;
        };
        Assert.Equal(StatusCode.OutcomeUnknown, (await PutAsync(50)).Status);
    }

    [Fact]
    public async Task A_forwarded_request_at_a_node_that_does_not_lead_is_refused_at_once()
    {
        Node.Follow(2);
        var answer = await ForwardedAsync(_host, TestClient.Frame(20, 4, 60_000, "k", "v", 0L));
        Assert.Equal((StatusCode.NotLeader, 4u), (answer.Status, answer.RequestId));
        Assert.Equal(0, _forwards);
    }

    [Theory]
    [InlineData((int)RequestCode.Init)]
    [InlineData((int)RequestCode.AddNode)]
    [InlineData((int)RequestCode.KvGet)]
    public async Task Other_requests_are_not_taken_from_members(int code)
    {
        var answer = await ForwardedAsync(_host, TestClient.Frame(code, 1, 1000));
        Assert.Equal(StatusCode.BadArgument, answer.Status);
        Assert.Contains("not one to forward", answer.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_forwarded_frame_without_a_header_or_id_closes_the_connection()
    {
        var token = TestContext.Current.CancellationToken;
        var handler = _host.Node.ForwardHandler!;
        var noId = new byte[60];
        noId[8] = 1;
        foreach (byte[] bytes in new[] { new byte[45], noId })
        {
            await Assert.ThrowsAsync<InvalidDataException>(
                async () => await handler(bytes, token));
        }
    }

    [Fact]
    public async Task Without_a_configuration_there_is_no_cluster_to_ask()
    {
        Node.Status = new NodeStatus();
        var read = await _client.CallAsync(RequestCode.LogSync);
        foreach (var answer in new[] { await PutAsync(), read })
        {
            Assert.Equal(StatusCode.WrongState, answer.Status);
            Assert.Contains("pgraft_init()", answer.Hint, StringComparison.Ordinal);
        }
    }

    private Task<Answer> PutAsync(int timeoutMs = 10_000) =>
        _client.CallWithinAsync(RequestCode.KvPut, timeoutMs, "k", "v", 0L);

    private void FollowTheLeader()
    {
        Node.Follow(2);
        Node.OnForward = (frame, token) =>
        {
            _forwards++;
            return ForwardAsync(frame, token);
        };
    }

    private ValueTask<ReadOnlyMemory<byte>> ForwardAsync(
        ReadOnlyMemory<byte> frame, CancellationToken token) =>
        _leader.Node.ForwardHandler!(frame, token);

    private static async Task<Answer> ForwardedAsync(TestHost host, byte[] frame)
    {
        byte[] withoutId = [.. new byte[RequestId.EncodedBytes], .. frame];
        var answer = await host.Node.ForwardHandler!(
            withoutId, TestContext.Current.CancellationToken);
        return Answer.Parse(answer.Span[4..]);
    }

    private static Func<bool> HasMillisecondPassed()
    {
        long start = Environment.TickCount64;
        return () => Environment.TickCount64 > start + 1;
    }
}
