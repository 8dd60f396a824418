using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class RecoveryRequestTests : IAsyncLifetime
{
    private const int SoonMs = 100;

    private TestHost _host = null!;
    private TestClient _client = null!;

    private FakeNode Node => _host.Node;

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
    public async Task A_snapshot_answers_with_its_index()
    {
        Assert.Equal(7L, (await _client.CallAsync(RequestCode.Snapshot)).Value);
        Node.OnSnapshot = _ => throw new PgraftException(StatusCode.DiskFull, "no space");
        Assert.Equal(StatusCode.DiskFull, (await _client.CallAsync(RequestCode.Snapshot)).Status);
    }

    [Fact]
    public async Task A_snapshot_that_takes_longer_goes_on_and_the_answer_says_so()
    {
        Node.OnSnapshot = ForeverAsync<long>;
        var answer = await _client.CallWithinAsync(RequestCode.Snapshot, SoonMs);
        Assert.Equal(StatusCode.TimedOut, answer.Status);
        Assert.Equal("It goes on being written.", answer.Detail);
    }

    [Fact]
    public async Task A_backup_is_written_after_a_read_barrier()
    {
        List<string> steps = [];
        Node.OnReadBarrier = _ =>
        {
            steps.Add("barrier");
            return new(0L);
        };
        Node.OnBackup = (path, _) =>
        {
            steps.Add(path);
            return Task.FromResult(FakeNode.SomeBackup);
        };
        Assert.Equal(41L, (await _client.CallAsync(RequestCode.Backup, "/b/ä")).Value);
        Assert.Equal(["barrier", "/b/ä"], steps);
    }

    [Fact]
    public async Task Without_a_leader_there_is_no_backup()
    {
        Node.Follow(0);
        Node.OnBackup = (_, _) => throw new InvalidOperationException("It must not be called.");
        var answer = await _client.CallWithinAsync(RequestCode.Backup, SoonMs, "/b");
        Assert.Equal(StatusCode.NoLeader, answer.Status);
    }

    [Fact]
    public async Task A_backup_that_takes_too_long_leaves_nothing_and_the_answer_says_so()
    {
        Node.OnBackup = (_, token) => ForeverAsync<BackupInfo>(token);
        var answer = await _client.CallWithinAsync(RequestCode.Backup, SoonMs, "/b");
        Assert.Equal(StatusCode.TimedOut, answer.Status);
        Assert.Equal("Nothing was written.", answer.Detail);
        Assert.Contains("request_timeout", answer.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_backup_says_of_itself_comes_in_the_order_of_the_protocol()
    {
        var answer = await _client.CallAsync(RequestCode.BackupInfo, "/b");
        Assert.Equal(
            [
                "test", 41L, 4L, 30L, "000102030405060708090a0b0c0d0e0f", 1234L, 3, "1.0", 900L,
            ],
            Assert.Single(answer.Rows));
    }

    [Fact]
    public async Task A_restore_needs_no_cluster_and_answers_when_it_is_done()
    {
        Node.Status = Node.Status with { Role = NodeRole.Waiting, LeaderId = 0 };
        string? restored = null;
        Node.OnRestore = (path, _) =>
        {
            restored = path;
            return Task.FromResult(FakeNode.SomeBackup);
        };
        Assert.Equal(true, (await _client.CallAsync(RequestCode.Restore, "/b")).Value);
        Assert.Equal("/b", restored);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Test")]
    [InlineData("test ")]
    [InlineData("another")]
    public async Task Going_on_alone_wants_the_cluster_s_name(string confirm)
    {
        Node.OnRecover = _ => throw new InvalidOperationException("It must not be called.");
        var answer = await _client.CallAsync(RequestCode.RecoverCluster, confirm);
        Assert.Equal(StatusCode.BadArgument, answer.Status);
        Assert.Contains("\"test\"", answer.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Going_on_alone_answers_with_what_was_there()
    {
        var answer = await _client.CallAsync(RequestCode.RecoverCluster, "test");
        Assert.Equal([true, 5L, 8L], Assert.Single(answer.Rows));
        Node.OnRecover = _ => throw new PgraftException(StatusCode.WrongState, "it has a leader");
        var refused = await _client.CallAsync(RequestCode.RecoverCluster, "test");
        Assert.Equal((StatusCode.WrongState, "it has a leader"), (refused.Status, refused.Message));
    }

    [Theory]
    [InlineData((int)RequestCode.Snapshot)]
    [InlineData((int)RequestCode.Backup)]
    [InlineData((int)RequestCode.RecoverCluster)]
    public async Task A_node_without_a_cluster_refuses(int code)
    {
        Node.Status = Node.Status with { Role = NodeRole.Waiting, LeaderId = 0 };
        var answer = code == (int)RequestCode.Snapshot
            ? await _client.CallAsync((RequestCode)code)
            : await _client.CallAsync((RequestCode)code, "/b");
        Assert.Equal(
            (StatusCode.WrongState, "this node belongs to no cluster yet"),
            (answer.Status, answer.Message));
    }

    // A call that may have written something is unknown when it was cut short; the two that only
    // read are not.
    [Theory]
    [InlineData((int)RequestCode.Restore, (int)StatusCode.OutcomeUnknown)]
    [InlineData((int)RequestCode.RecoverCluster, (int)StatusCode.OutcomeUnknown)]
    [InlineData((int)RequestCode.BackupInfo, (int)StatusCode.TimedOut)]
    public async Task What_was_cut_short_is_unknown_if_it_changes_something(int code, int status)
    {
        Node.OnRestore = (_, token) => ForeverAsync<BackupInfo>(token);
        Node.OnReadBackup = (_, token) => ForeverAsync<BackupInfo>(token);
        Node.OnRecover = ForeverAsync<RecoveryResult>;
        var answer = await _client.CallWithinAsync((RequestCode)code, SoonMs, "test");
        Assert.Equal((StatusCode)status, answer.Status);
    }

    private static async Task<T> ForeverAsync<T>(CancellationToken token)
    {
        await Task.Delay(Timeout.Infinite, token);
        throw new InvalidOperationException("It ended.");
    }
}
