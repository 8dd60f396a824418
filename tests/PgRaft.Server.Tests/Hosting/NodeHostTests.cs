using Microsoft.Extensions.Logging;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Server.Hosting;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Hosting;

public class NodeHostTests
{
    [Fact]
    public async Task The_states_follow_the_node_s_life()
    {
        await using var host = TestHost.Create();
        Assert.Equal(WorkerState.Starting, host.Status.Last.State);
        await host.Host.StartAsync();
        Assert.Equal(WorkerState.Running, host.Status.Last.State);
        host.Node.Status = new NodeStatus();
        Assert.Equal(WorkerState.Waiting, host.Status.Last.State);
        host.Node.Lead();
        await host.Host.StopAsync();
        Assert.Equal(
            [
                WorkerState.Starting,
                WorkerState.Running,
                WorkerState.Waiting,
                WorkerState.Running,
                WorkerState.Stopped,
            ],
            host.Status.States);
        Assert.True(host.Node.IsStopped);
    }

    // Their number is no other: who they are is.
    [Fact]
    public async Task Other_members_that_are_as_many_are_another_answer()
    {
        await using var host = TestHost.Create();
        await host.Host.StartAsync();
        host.Node.Status = host.Node.Status with { LiveMembers = 2, LiveMembersSinceNs = 1 };
        var before = host.Status.Last.Times;
        host.Node.Status = host.Node.Status with { Term = 9 };
        var same = host.Status.Last.Times;
        host.Node.Status = host.Node.Status with { LiveMembersSinceNs = 2 };
        var others = host.Status.Last.Times;

        Assert.Equal(before.LiveMembersSinceUs, same.LiveMembersSinceUs);
        Assert.True(same.WrittenNs > before.WrittenNs);
        Assert.Equal(others.WallUs(others.WrittenNs), others.LiveMembersSinceUs);
        Assert.Equal(before.MayActSinceUs, others.MayActSinceUs);
    }

    [Fact]
    public async Task Nothing_serves_before_the_node_has_started()
    {
        await using var host = TestHost.Create();
        var started = Eventually.NewSignal();
        host.OnNodeStart = () => started.Task;
        var starting = host.Host.StartAsync();
        await Eventually.TrueAsync(() => host.Node is not null, "the node exists");
        host.Node.Lead();
        Assert.Equal(WorkerState.Starting, host.Status.Last.State);
        Assert.False(File.Exists(host.SocketPath));
        started.SetResult();
        await Eventually.InTimeAsync(starting);
        Assert.Equal(WorkerState.Running, host.Status.Last.State);
    }

    [Fact]
    public async Task A_node_that_cannot_start_ends_in_error_with_the_reason()
    {
        await using var host = TestHost.Create();
        host.OnNodeStart = () => throw new PgraftException(
            StatusCode.WrongState,
            "the directory is another node's",
            "It is node 2's.",
            "Use another.");
        await host.Host.StartAsync();
        Assert.Equal(WorkerState.Error, host.Status.Last.State);
        Assert.Equal(StatusCode.WrongState, host.Status.Last.ErrorStatus);
        Assert.Equal(
            "the directory is another node's: It is node 2's. Use another.",
            host.Status.Last.ErrorText);
        Assert.True(host.Node.IsStopped);
        Assert.DoesNotContain(host.Log.Records, r => r.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task Why_a_node_failed_is_logged_when_debugging()
    {
        await using var host = TestHost.Create(o => o with { Debug = true });
        host.OnNodeStart = () => throw new PgraftException(StatusCode.IoError, "no disk");
        await host.Host.StartAsync();
        var record = Assert.Single(host.Log.Records, r => r.EventId == 2002);
        Assert.Equal((LogLevel.Debug, "server"), (record.Level, record.Category));
        Assert.Contains("no disk", record.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_fails_later_ends_in_error_and_leads_no_more()
    {
        await using var host = await TestHost.StartAsync();
        Assert.Equal(long.MaxValue, host.Status.Last.Node.LeaseDeadlineNs);
        host.Node.Status = host.Node.Status with { NoQuorumDeadlineNs = long.MaxValue };
        host.Node.Fail(new PgraftException(StatusCode.IoError, "fsync failed"));
        await Eventually.TrueAsync(
            () => host.Node.IsStopped && !File.Exists(host.SocketPath), "the parts are stopped");
        var status = host.Status.Last;
        Assert.Equal(
            (WorkerState.Error, StatusCode.IoError, "fsync failed"),
            (status.State, status.ErrorStatus, status.ErrorText));
        Assert.Equal((0L, 0), (status.Node.LeaseDeadlineNs, status.Node.LeaderId));
        Assert.Equal(0, status.Node.NoQuorumDeadlineNs);
        await host.Host.StopAsync();
        Assert.Equal(WorkerState.Error, host.Status.Last.State);
    }

    // The worker leaves on the state, and takes along what is not in the log by then.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_failure_is_logged_before_it_is_published(bool isFromOutside)
    {
        await using var host = await TestHost.StartAsync(o => o with { Debug = true });
        bool wasLogged = false;
        host.Status.Publishing = status =>
        {
            if (status.State == WorkerState.Error && host.Status.Last.State != WorkerState.Error)
                wasLogged = host.Log.Records.Any(r => r.EventId == 2002);
        };
        if (isFromOutside)
            host.Host.FailFromOutside(new InvalidOperationException("from outside"));
        else
            host.Node.Fail(new PgraftException(StatusCode.IoError, "fsync failed"));
        await Eventually.TrueAsync(() => host.Node.IsStopped, "the node is stopped");
        Assert.True(wasLogged);
    }

    [Fact]
    public async Task The_first_error_is_the_one_that_is_kept()
    {
        await using var host = await TestHost.StartAsync();
        host.Host.FailFromOutside(new InvalidOperationException("first"));
        host.Host.FailFromOutside(new InvalidOperationException("second"));
        await Eventually.TrueAsync(() => host.Node.IsStopped, "the node is stopped");
        Assert.Equal(
            "the node has failed: InvalidOperationException: first", host.Status.Last.ErrorText);
    }

    [Fact]
    public async Task A_stop_interrupts_a_start()
    {
        await using var host = TestHost.Create();
        var entered = Eventually.NewSignal();
        var released = Eventually.NewSignal();
        host.OnNodeStart = async () =>
        {
            entered.SetResult();
            await released.Task;
            throw new OperationCanceledException();
        };
        var starting = host.Host.StartAsync();
        await Eventually.InTimeAsync(entered.Task);
        var stopping = host.Host.StopAsync();
        released.SetResult();
        await Eventually.InTimeAsync(Task.WhenAll(starting, stopping));
        Assert.Equal(WorkerState.Stopped, host.Status.Last.State);
    }

    [Fact]
    public async Task A_stop_hands_over_first_while_requests_are_still_served()
    {
        await using var host = await TestHost.StartAsync();
        using var client = host.Connect();
        Answer? put = null;
        host.Node.OnPrepareToStop = async () =>
        {
            put = await client.CallAsync(RequestCode.KvPut, "k", "v", 0L);
            Assert.False(host.Node.IsStopped);
            throw new InvalidOperationException("even so it stops");
        };
        await Eventually.InTimeAsync(host.Host.StopAsync());
        Assert.Equal(StatusCode.Ok, put?.Status);
        Assert.True(host.Node.IsStopped);
        Assert.Equal(WorkerState.Stopped, host.Status.Last.State);
    }

    [Fact]
    public async Task A_node_that_has_failed_hands_nothing_over()
    {
        await using var host = await TestHost.StartAsync();
        int asked = 0;
        host.Node.OnPrepareToStop = () => Task.FromResult(Interlocked.Increment(ref asked));
        host.Host.FailFromOutside(new InvalidOperationException("failed"));
        await Eventually.TrueAsync(() => host.Node.IsStopped, "the node is stopped");
        await host.Host.StopAsync();
        Assert.Equal(0, asked);
    }

    [Fact]
    public async Task A_log_record_carries_the_exception_it_reports()
    {
        await using var host = await TestHost.StartAsync();
        var logger = host.NodeLoggers.CreateLogger("category");
        var message = LoggerMessage.Define(LogLevel.Warning, new EventId(7), "something");
        message(logger, new PgraftException(StatusCode.IoError, "m", "d"));
        Assert.Contains(
            new LoggedRecord(LogLevel.Warning, 7, "category", "something: m: d"),
            host.Log.Records);
    }

    [Fact]
    public async Task A_failed_task_that_nobody_awaited_is_logged_unless_something_only_ended()
    {
        await using var host = await TestHost.StartAsync();
        host.Host.ReportUnobserved(new AggregateException(new ObjectDisposedException("engine")));
        Assert.DoesNotContain(host.Log.Records, r => r.EventId == 2040);
        host.Host.ReportUnobserved(new AggregateException(new IOException("disk gone")));
        var record = Assert.Single(host.Log.Records, r => r.EventId == 2040);
        Assert.Equal((LogLevel.Error, "core"), (record.Level, record.Category));
        Assert.Contains("disk gone", record.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task History_is_compacted_beyond_the_threshold_and_a_tenth()
    {
        await using var host = await TestHost.StartAsync(
            o => TestHost.Options(o.Node.DataDirectory, compactionThreshold: 100));
        using var client = host.Connect();
        for (int i = 0; i < 109; i++)
            await client.CallAsync(RequestCode.KvPut, "k", "v", 0L);
        host.Node.Status = host.Node.Status with { HeartbeatsSent = 1 };
        Assert.Equal(109, host.Node.Proposals);
        await client.CallAsync(RequestCode.KvPut, "k", "v", 0L);
        host.Node.Status = host.Node.Status with { HeartbeatsSent = 2 };
        await Eventually.TrueAsync(
            () => host.Host.StateMachine.Kv.CompactedRevision == 10, "history is compacted");
        Assert.Equal(111, host.Node.Proposals);
    }

    [Fact]
    public async Task Only_the_leader_compacts_and_a_reload_changes_when()
    {
        await using var host = await TestHost.StartAsync();
        await PutFiftyAsync(host.Node);
        host.Node.Follow(2);
        host.Host.Reload(TestHost.Options(host.Directory, compactionThreshold: 10));
        Assert.Equal(50, host.Node.Proposals);
        host.Node.Lead();
        await Eventually.TrueAsync(
            () => host.Host.StateMachine.Kv.CompactedRevision == 40, "history is compacted");
    }

    [Fact]
    public async Task A_compaction_that_failed_is_tried_again_at_the_next_change()
    {
        await using var host = await TestHost.StartAsync();
        await PutFiftyAsync(host.Node);
        int attempts = 0;
        host.Node.OnPropose = (command, term, token) => Interlocked.Increment(ref attempts) == 1
            ? throw new PgraftException(StatusCode.NotDone, "not now")
            : host.Node.ApplyAsync(command, term, token);
        host.Host.Reload(TestHost.Options(host.Directory, compactionThreshold: 10));
        await Eventually.TrueAsync(
            () =>
            {
                host.Node.Status = host.Node.Status with { HeartbeatsSent = 3 };
                return host.Host.StateMachine.Kv.CompactedRevision == 40;
            },
            "history is compacted");
        Assert.True(attempts >= 2);
    }

    private static async Task PutFiftyAsync(FakeNode node)
    {
        byte[] command = CommandEncoder.KvPut("k"u8, "v"u8);
        for (int i = 0; i < 50; i++)
            await node.ApplyAsync(command, 0, TestContext.Current.CancellationToken);
    }
}
