using System.Text;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Snapshots;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class LogRequestTests : IAsyncLifetime
{
    private TestHost _host = null!;
    private TestClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        _client = _host.Connect();
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task An_append_answers_with_its_log_index()
    {
        Assert.Equal(1L, (await _client.CallAsync(RequestCode.LogAppend, null, "x")).Value);
        Assert.Equal(2L, (await _client.CallAsync(RequestCode.LogAppend, 3L, "y")).Value);
    }

    [Fact]
    public async Task An_append_with_another_term_is_refused_at_once_and_for_good()
    {
        var answer = await _client.CallAsync(RequestCode.LogAppend, 2L, "x");
        Assert.Equal(StatusCode.NotDone, answer.Status);
        Assert.Equal(0, _host.Node.Proposals);
    }

    [Fact]
    public async Task Appends_are_checked_before_they_enter_the_log()
    {
        var term = await _client.CallAsync(RequestCode.LogAppend, 0L, "x");
        Assert.Equal(
            (StatusCode.BadArgument, "term must be at least 1"), (term.Status, term.Message));
        var data = await _client.CallAsync(RequestCode.LogAppend, null, new string('x', 4097));
        Assert.Equal((StatusCode.TooLarge, "data is too large"), (data.Status, data.Message));
    }

    [Theory]
    [InlineData((int)RequestCode.LogWaitCommit)]
    [InlineData((int)RequestCode.LogWaitApply)]
    public async Task A_wait_ends_when_the_index_is_reached(int code)
    {
        long asked = 0;
        _host.Node.OnWait = (index, _) =>
        {
            asked = index;
            return default;
        };
        Assert.Equal(true, (await _client.CallAsync((RequestCode)code, 17L)).Value);
        Assert.Equal(17, asked);
        var bad = await _client.CallAsync((RequestCode)code, 0L);
        Assert.Equal(StatusCode.BadArgument, bad.Status);
    }

    [Theory]
    [InlineData((int)RequestCode.LogWaitCommit)]
    [InlineData((int)RequestCode.LogWaitApply)]
    public async Task A_wait_that_is_not_rewarded_says_how_far_the_log_is(int code)
    {
        await _client.CallAsync(RequestCode.LogAppend, null, "x");
        _host.Node.OnWait = (_, token) => new(Task.Delay(Timeout.Infinite, token));
        var answer = await _client.CallWithinAsync((RequestCode)code, 50, 17L);
        Assert.Equal(StatusCode.TimedOut, answer.Status);
        Assert.Equal("Commit index 1, applied index 1.", answer.Detail);
    }

    [Fact]
    public async Task An_entry_is_shown_as_JSON()
    {
        _host.Node.OnReadEntry = index => new LogEntryView(
            index, 3, false, CommandEncoder.KvPut("k"u8, "v"u8));
        var answer = await _client.CallAsync(RequestCode.LogGetEntry, 5L);
        var json = Assert.IsType<string>(answer.Value);
        Assert.Contains("\"index\":5", json, StringComparison.Ordinal);
        Assert.Contains("kv_put", json, StringComparison.Ordinal);
        _host.Node.OnReadEntry = index => new LogEntryView(index, 3, true, new byte[] { 1 });
        json = (string?)(await _client.CallAsync(RequestCode.LogGetEntry, 6L)).Value;
        Assert.Contains("configuration", json, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_entry_out_of_range_is_not_found_and_the_range_is_told()
    {
        _host.Node.Status = _host.Node.Status with { FirstIndex = 11, LastIndex = 20 };
        var answer = await _client.CallAsync(RequestCode.LogGetEntry, 5L);
        Assert.Equal(StatusCode.NotFound, answer.Status);
        Assert.Equal("First index 11, last index 20.", answer.Detail);
        _host.Node.Status = _host.Node.Status with { FirstIndex = 21, LastIndex = 20 };
        answer = await _client.CallAsync(RequestCode.LogGetEntry, 5L);
        Assert.Equal("The log holds no entries.", answer.Detail);
    }

    [Fact]
    public async Task Statistics_are_the_node_s_own()
    {
        _host.Node.Status = _host.Node.Status with
        {
            FirstIndex = 11,
            LastIndex = 20,
            CommitIndex = 19,
            AppliedIndex = 18,
            SnapshotIndex = 15,
            SnapshotTerm = 2,
            DiskBytes = 4096,
        };
        var answer = await _client.CallAsync(RequestCode.LogGetStats);
        Assert.Equal([[10L, 20L, 19L, 18L, 11L, 15L, 2L, 4096L]], answer.Rows);
    }

    [Fact]
    public async Task Replication_shows_every_follower()
    {
        _host.Node.Replication =
        [
            new FollowerProgress(2, 9, 10, true, 1, 12, "replicate"),
            new FollowerProgress(3, 0, 1, false, 10, null, "unreachable"),
        ];
        var answer = await _client.CallAsync(RequestCode.LogGetReplication);
        Assert.Equal(
            [
                [2, 9L, 10L, true, 1L, 12L, "replicate"],
                [3, 0L, 1L, false, 10L, null, "unreachable"],
            ],
            answer.Rows);
    }

    [Fact]
    public async Task The_endpoint_s_hash_is_that_of_its_state()
    {
        await _client.CallAsync(RequestCode.KvPut, "k", "v", 0L);
        string hash = StateHash.ComputeHex(
            _host.Host.StateMachine.Capture(), TestContext.Current.CancellationToken);
        var answer = await _client.CallAsync(RequestCode.EndpointStatus);
        Assert.Equal([[1, "1.0", 3L, 1L, 1L, hash]], answer.Rows);
    }

    [Fact]
    public async Task Text_that_is_not_text_is_refused()
    {
        var answer = await _client.CallAsync(RequestCode.LogAppend, null, new byte[] { 0xc3 });
        Assert.Equal(StatusCode.BadArgument, answer.Status);
        Assert.Equal(1L, (await _client.CallAsync(
            RequestCode.LogAppend, null, Encoding.UTF8.GetBytes("ü"))).Value);
    }
}
