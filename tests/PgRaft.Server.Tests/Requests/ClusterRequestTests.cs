using Microsoft.Extensions.Logging;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Core.Requests;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class ClusterRequestTests : IAsyncLifetime
{
    private static readonly MemberView[] Three =
    [
        new(new MemberAddress(1, "10.0.0.1", 7001), true, true),
        new(new MemberAddress(2, "10.0.0.2", 7001), false, true),
        new(new MemberAddress(3, "fd00::3", 7001), false, null),
    ];

    private TestHost _host = null!;
    private TestClient _client = null!;

    private FakeNode Node => _host.Node;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        _client = _host.Connect();
        Node.Members = Three;
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task Init_answers_when_the_cluster_is_founded()
    {
        var founded = Eventually.NewSignal();
        Node.OnFound = _ => founded.Task;
        var answer = _client.CallAsync(RequestCode.Init);
        await Eventually.TrueAsync(() => _host.Status.Last.RequestsPending == 1, "it runs");
        Assert.False(answer.IsCompleted);
        founded.SetResult();
        Assert.Equal(true, (await answer).Value);
    }

    [Fact]
    public async Task Init_where_there_is_a_configuration_is_refused()
    {
        Node.OnFound = _ => throw new PgraftException(StatusCode.WrongState, "already");
        Assert.Equal(StatusCode.WrongState, (await _client.CallAsync(RequestCode.Init)).Status);
    }

    [Fact]
    public async Task Members_are_shown_with_what_is_known_of_them()
    {
        var answer = await _client.CallAsync(RequestCode.GetNodes);
        Assert.Equal(
            [
                [1, "10.0.0.1", 7001, true, true],
                [2, "10.0.0.2", 7001, false, true],
                [3, "fd00::3", 7001, false, null],
            ],
            answer.Rows);
    }

    [Fact]
    public async Task A_node_is_added_with_the_address_given()
    {
        MemberAddress? added = null;
        Node.OnAdd = (member, _) =>
        {
            added = member;
            return Task.CompletedTask;
        };
        var answer = await AddAsync(4, "host-4.example", 7004);
        Assert.Equal([[true, 3]], answer.Rows);
        Assert.Equal(new MemberAddress(4, "host-4.example", 7004), added);
    }

    [Theory]
    [InlineData(0, "h", 7001, "node id 0 is out of range")]
    [InlineData(65536, "h", 7001, "node id 65536 is out of range")]
    [InlineData(4, "", 7001, "\"\" is not a usable address")]
    [InlineData(4, "a b", 7001, "\"a b\" is not a usable address")]
    [InlineData(4, "*", 7001, "\"*\" is not a usable address")]
    [InlineData(4, "0.0.0.0", 7001, "\"0.0.0.0\" is not a usable address")]
    [InlineData(4, "10.1", 7001, "\"10.1\" is not a usable address")]
    [InlineData(4, "h", 0, "port 0 is out of range")]
    [InlineData(4, "h", 65536, "port 65536 is out of range")]
    public async Task A_bad_member_is_refused(int id, string host, int port, string message)
    {
        var answer = await AddAsync(id, host, port);
        Assert.Equal((StatusCode.BadArgument, message), (answer.Status, answer.Message));
        Assert.NotNull(answer.Detail);
    }

    [Fact]
    public async Task A_known_address_is_refused()
    {
        Node.OnAdd = (_, _) => throw new InvalidOperationException("must not be asked");
        var address = await AddAsync(4, "FD00::3", 7001);
        Assert.Equal(StatusCode.WrongState, address.Status);
        Assert.Contains("node 3 already has", address.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "Run it on the leader: node 2 at 10.0.0.2:7001.")]
    [InlineData(3, "Run it on the leader: node 3 at [fd00::3]:7001.")]
    public async Task On_a_follower_the_hint_names_the_leader(int leaderId, string hint)
    {
        Node.Follow(leaderId);
        var add = await AddAsync(4, "h", 7004);
        Assert.Equal(StatusCode.NotLeader, add.Status);
        Assert.Equal("cannot add node - this node is not the leader", add.Message);
        Assert.Equal(hint, add.Hint);
        var remove = await _client.CallAsync(RequestCode.RemoveNode, 3);
        Assert.Equal("cannot remove node - this node is not the leader", remove.Message);
        Assert.Equal(hint, remove.Hint);
        var update = await _client.CallAsync(RequestCode.UpdateNode, 3, "h", 7004);
        Assert.Equal("cannot update node - this node is not the leader", update.Message);
        Assert.Equal(hint, update.Hint);
    }

    [Fact]
    public async Task On_a_follower_without_a_leader_the_detail_says_why_there_is_none()
    {
        Node.Follow(0);
        foreach (var answer in new[]
        {
            await AddAsync(4, "h", 7004),
            await _client.CallAsync(RequestCode.RemoveNode, 3),
            await _client.CallAsync(RequestCode.UpdateNode, 3, "h", 7004),
        })
        {
            Assert.Equal(StatusCode.NoLeader, answer.Status);
            Assert.EndsWith(
                "node - the cluster has no leader", answer.Message, StringComparison.Ordinal);
            Assert.StartsWith("No leader known for", answer.Detail, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(StatusCode.NotDone)]
    [InlineData(StatusCode.OutcomeUnknown)]
    [InlineData(StatusCode.WrongState)]
    public async Task The_node_s_word_on_a_change_is_passed_on(StatusCode code)
    {
        Node.OnAdd = (_, _) => throw new PgraftException(code, "so it is");
        Node.OnRemove = (_, _) => throw new PgraftException(code, "so it is");
        Assert.Equal(code, (await AddAsync(4, "h", 7004)).Status);
        Assert.Equal(code, (await _client.CallAsync(RequestCode.RemoveNode, 2)).Status);
    }

    [Fact]
    public async Task Leadership_lost_on_the_way_names_the_new_leader()
    {
        Node.OnAdd = (_, _) =>
        {
            Node.Follow(2);
            throw new PgraftException(StatusCode.NotLeader, "deposed");
        };
        var answer = await AddAsync(4, "h", 7004);
        Assert.Equal("Run it on the leader: node 2 at 10.0.0.2:7001.", answer.Hint);
    }

    [Fact]
    public async Task Leadership_lost_on_the_way_to_nobody_is_told_as_that()
    {
        Node.OnAdd = (_, _) =>
        {
            Node.Follow(0);
            throw new PgraftException(StatusCode.NotLeader, "deposed");
        };
        Assert.Equal(StatusCode.NoLeader, (await AddAsync(4, "h", 7004)).Status);
    }

    [Fact]
    public async Task A_member_is_moved_to_the_address_given()
    {
        MemberAddress? moved = null;
        Node.OnUpdate = (member, _) =>
        {
            moved = member;
            return Task.CompletedTask;
        };
        var answer = await _client.CallAsync(RequestCode.UpdateNode, 2, "host-2.example", 7002);
        Assert.Equal(true, answer.Value);
        Assert.Equal(new MemberAddress(2, "host-2.example", 7002), moved);
        var where = await _client.CallAsync(RequestCode.UpdateNode, 2, "10.0.0.2", 7001);
        Assert.Equal(true, where.Value);
    }

    [Fact]
    public async Task A_stranger_or_a_place_that_is_taken_is_refused()
    {
        Node.OnUpdate = (_, _) => throw new InvalidOperationException("must not be asked");
        var stranger = await _client.CallAsync(RequestCode.UpdateNode, 9, "h", 7001);
        Assert.Equal(
            (StatusCode.BadArgument, "node 9 is not a member of the cluster"),
            (stranger.Status, stranger.Message));
        var taken = await _client.CallAsync(RequestCode.UpdateNode, 2, "10.0.0.1", 7001);
        Assert.Equal(
            (StatusCode.WrongState, "node 1 already has the address 10.0.0.1 port 7001"),
            (taken.Status, taken.Message));
        var port = await _client.CallAsync(RequestCode.UpdateNode, 2, "h", 70000);
        Assert.Equal(StatusCode.BadArgument, port.Status);
    }

    [Fact]
    public async Task A_member_is_removed()
    {
        int removed = 0;
        Node.OnRemove = (id, _) =>
        {
            removed = id;
            return Task.CompletedTask;
        };
        Assert.Equal([[true, 3]], (await _client.CallAsync(RequestCode.RemoveNode, 3)).Rows);
        Assert.Equal(3, removed);
    }

    [Fact]
    public async Task A_stranger_or_the_last_member_is_not_removed()
    {
        var stranger = await _client.CallAsync(RequestCode.RemoveNode, 9);
        Assert.Equal(
            (StatusCode.BadArgument, "node 9 is not a member of the cluster"),
            (stranger.Status, stranger.Message));
        Node.Members = Three[..1];
        var last = await _client.CallAsync(RequestCode.RemoveNode, 1);
        Assert.Equal(
            (StatusCode.WrongState, "the last member cannot be removed"),
            (last.Status, last.Message));
    }

    [Fact]
    public async Task The_leader_steps_down_and_has_itself_removed_by_the_next()
    {
        int yields = 0;
        RequestHeader forwarded = default;
        Node.OnYield = _ =>
        {
            yields++;
            Node.Follow(2);
            return Task.FromResult(2);
        };
        Node.OnForward = (frame, _) =>
        {
            forwarded = RequestHeader.Read(ForwardedRequest.Read(frame).Body.Span);
            var response = new ResponseBuilder(new MemoryBudget(0));
            response.Begin(99);
            response.Rows(1).Bool(true);
            return new(response.Finish());
        };
        Assert.Equal(true, (await _client.CallAsync(RequestCode.RemoveNode, 1)).Value);
        Assert.Equal((1, RequestCode.RemoveNode), (yields, forwarded.Code));
    }

    [Theory]
    [InlineData(null, 0)]
    [InlineData(3, 3)]
    public async Task Leadership_is_transferred_to_the_target_or_to_the_best(
        int? target, int expected)
    {
        int asked = -1;
        Node.OnTransfer = (id, _) =>
        {
            asked = id;
            return Task.CompletedTask;
        };
        var answer = await _client.CallAsync(RequestCode.TransferLeadership, target);
        Assert.Equal((true, expected), (answer.Value, asked));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(65536)]
    public async Task A_transfer_to_no_node_id_is_refused(int target)
    {
        var answer = await _client.CallAsync(RequestCode.TransferLeadership, target);
        Assert.Equal(
            (StatusCode.BadArgument, $"node id {target} is out of range"),
            (answer.Status, answer.Message));
    }

    [Fact]
    public async Task A_transfer_is_asked_of_the_leader()
    {
        Node.Follow(2);
        var answer = await _client.CallAsync(RequestCode.TransferLeadership, 2);
        Assert.Equal(StatusCode.NotLeader, answer.Status);
        Assert.Equal("cannot transfer leadership - this node is not the leader", answer.Message);
        Assert.Equal("Run it on the leader: node 2 at 10.0.0.2:7001.", answer.Hint);
        Node.Lead();
        Node.OnTransfer = (_, _) =>
        {
            Node.Follow(3);
            throw new PgraftException(StatusCode.NotLeader, "deposed");
        };
        answer = await _client.CallAsync(RequestCode.TransferLeadership, 2);
        Assert.Equal("Run it on the leader: node 3 at [fd00::3]:7001.", answer.Hint);
    }

    [Fact]
    public async Task A_transfer_is_not_passed_on()
    {
        byte[] frame = TestClient.Frame((int)RequestCode.TransferLeadership, 1, 1000, 2);
        var answer = await Node.ForwardHandler!(
            (byte[])[.. new byte[RequestId.EncodedBytes], .. frame],
            TestContext.Current.CancellationToken);
        Assert.Equal(StatusCode.BadArgument, Answer.Parse(answer.Span[4..]).Status);
    }

    [Theory]
    [InlineData(StatusCode.NotDone)]
    [InlineData(StatusCode.OutcomeUnknown)]
    [InlineData(StatusCode.WrongState)]
    [InlineData(StatusCode.BadArgument)]
    public async Task The_node_s_word_on_a_transfer_is_passed_on(StatusCode code)
    {
        Node.OnTransfer = (_, _) => throw new PgraftException(code, "so it is");
        var answer = await _client.CallAsync(RequestCode.TransferLeadership, 2);
        Assert.Equal((code, "so it is"), (answer.Status, answer.Message));
    }

    [Fact]
    public async Task A_forwarded_removal_runs_on_the_leader()
    {
        int removed = 0;
        Node.OnRemove = (id, _) =>
        {
            removed = id;
            return Task.CompletedTask;
        };
        byte[] frame = TestClient.Frame((int)RequestCode.RemoveNode, 1, 1000, 2);
        var answer = await Node.ForwardHandler!(
            (byte[])[.. new byte[RequestId.EncodedBytes], .. frame],
            TestContext.Current.CancellationToken);
        Assert.Equal(StatusCode.Ok, Answer.Parse(answer.Span[4..]).Status);
        Assert.Equal(2, removed);
    }

    [Fact]
    public async Task The_self_test_needs_the_disk_and_a_majority()
    {
        Assert.Equal(true, (await _client.CallAsync(RequestCode.Test)).Value);
        Node.OnProbe = () => throw new PgraftException(StatusCode.DiskFull, "no space");
        Assert.Equal(StatusCode.DiskFull, (await _client.CallAsync(RequestCode.Test)).Status);
        Node.OnProbe = () => Task.CompletedTask;
        Node.Follow(0);
        Assert.Equal(
            StatusCode.NoLeader, (await _client.CallWithinAsync(RequestCode.Test, 50)).Status);
    }

    [Fact]
    public async Task Debug_output_is_switched_by_a_request_and_by_a_reload()
    {
        Assert.DoesNotContain(_host.Log.Records, r => r.EventId == 2010);
        Assert.Equal(true, (await _client.CallAsync(RequestCode.SetDebug, true)).Value);
        var logger = _host.NodeLoggers.CreateLogger("x");
        Assert.True(logger.IsEnabled(LogLevel.Debug));
        _host.Host.Reload(TestHost.Options(_host.Directory));
        Assert.False(logger.IsEnabled(LogLevel.Debug));
    }

    private Task<Answer> AddAsync(int id, string host, int port) =>
        _client.CallAsync(RequestCode.AddNode, id, host, port);
}
