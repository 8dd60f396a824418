using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class RemovedNodeTests : IAsyncLifetime
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
    public async Task Its_state_says_so_until_it_is_a_member_again()
    {
        Remove();
        await Eventually.TrueAsync(
            () => _host.Status.Last.State == WorkerState.Removed, "it is removed");
        _host.Node.Status = _host.Node.Status with { RemovedIndex = 0, Role = NodeRole.Passive };
        Assert.Equal(WorkerState.Running, _host.Status.Last.State);
        Remove();
        await _host.Host.StopAsync();
        Assert.Equal(WorkerState.Stopped, _host.Status.Last.State);
    }

    [Fact]
    public async Task Whatever_needs_the_cluster_is_refused_with_the_reason()
    {
        Remove();
        (RequestCode Code, object?[] Values)[] requests =
        [
            (RequestCode.KvPut, ["k", "v", 0L]),
            (RequestCode.KvGet, ["k", true]),
            (RequestCode.KvDelete, ["k"]),
            (RequestCode.KvExists, ["k"]),
            (RequestCode.KvListKeys, [""]),
            (RequestCode.KvCas, ["k", 0L, "v"]),
            (RequestCode.LogAppend, [null, "data"]),
            (RequestCode.LogSync, []),
            (RequestCode.LogWaitCommit, [1L]),
            (RequestCode.LogWaitApply, [1L]),
            (RequestCode.AddNode, [4, "h", 7004]),
            (RequestCode.RemoveNode, [1]),
            (RequestCode.UpdateNode, [1, "h", 7004]),
            (RequestCode.Test, []),
        ];
        foreach (var (code, values) in requests)
        {
            var answer = await _client.CallAsync(code, values);
            Assert.Equal(
                (code, StatusCode.WrongState, "this node was removed from the cluster"),
                (code, answer.Status, answer.Message));
            Assert.Equal("As of log index 12.", answer.Detail);
            Assert.Contains("pgraft_add_node()", answer.Hint, StringComparison.Ordinal);
        }

        var local = await _client.CallAsync(RequestCode.KvGet, "k", false);
        Assert.Equal(StatusCode.Ok, local.Status);
    }

    [Fact]
    public async Task Requests_that_wait_for_a_leader_end_when_the_node_is_removed()
    {
        _host.Node.Follow(0);
        using var other = _host.Connect();
        var write = _client.CallAsync(RequestCode.KvPut, "k", "v", 0L);
        var read = other.CallAsync(RequestCode.KvGet, "k", true);
        await Eventually.TrueAsync(() => _host.Status.Last.RequestsPending == 2, "both wait");
        Remove();
        Assert.Equal(StatusCode.WrongState, (await write).Status);
        Assert.Equal(StatusCode.WrongState, (await read).Status);
    }

    [Fact]
    public async Task A_write_that_may_have_been_done_stays_unknown()
    {
        _host.Node.Follow(2);
        var left = Eventually.NewSignal();
        _host.Node.OnForward = (_, _) =>
        {
            left.TrySetResult();
            throw new PgraftException(StatusCode.OutcomeUnknown, "nobody answered");
        };
        var write = _client.CallAsync(RequestCode.KvPut, "k", "v", 0L);
        await Eventually.InTimeAsync(left.Task);
        Remove();
        Assert.Equal(StatusCode.OutcomeUnknown, (await write).Status);
    }

    private void Remove() => _host.Node.Status = _host.Node.Status with
    {
        Role = NodeRole.Passive,
        LeaderId = 0,
        LeaseDeadlineNs = 0,
        LeaderDeadlineNs = 0,
        RemovedIndex = 12,
    };
}
