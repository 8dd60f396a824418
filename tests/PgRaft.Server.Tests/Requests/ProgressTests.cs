using System.Diagnostics;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Requests;

public sealed class ProgressTests : IAsyncLifetime
{
    private const int TimeoutMs = 400;
    private readonly TaskCompletionSource _added = Eventually.NewSignal();
    private TestHost _host = null!;
    private TestClient _client = null!;
    private long _index;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        _client = _host.Connect();
        _host.Node.OnAdd = async (_, token) =>
        {
            using var registration = token.Register(() => _added.TrySetException(
                new PgraftException(StatusCode.NotDone, "stood still")));
            await _added.Task;
        };
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task An_addition_that_goes_on_outlives_its_timeout()
    {
        uint id = await StartAsync();
        var clock = Stopwatch.StartNew();
        int words = 0;
        while (clock.ElapsedMilliseconds < 4 * TimeoutMs)
        {
            Advance(JoinStage.CatchingUp);
            Assert.False(_added.Task.IsFaulted, $"cancelled after {clock.ElapsedMilliseconds} ms");
            await Task.Delay(TimeoutMs / 10, TestContext.Current.CancellationToken); // its pace
        }

        _added.SetResult();
        var answer = await ReceiveAsync();
        while (answer.Status == StatusCode.Progress)
        {
            Assert.Equal((id, null), (answer.RequestId, answer.Value));
            words++;
            answer = await ReceiveAsync();
        }

        Assert.Equal([[true, 1]], answer.Rows);

        // Often enough for a client that gives up a second after its time.
        Assert.InRange(words, 4, 13);
    }

    [Fact]
    public async Task An_addition_that_stands_still_ends_in_time()
    {
        await StartAsync();
        var clock = Stopwatch.StartNew();
        Advance(JoinStage.CatchingUp);
        var answer = await ReceiveAsync();
        while (answer.Status == StatusCode.Progress)
            answer = await ReceiveAsync();
        Assert.Equal((StatusCode.NotDone, "stood still"), (answer.Status, answer.Message));
        Assert.InRange(clock.ElapsedMilliseconds, TimeoutMs - 50, 10 * TimeoutMs);
    }

    // It would go on as long as others write.
    [Fact]
    public async Task Waiting_for_the_commit_is_not_progress()
    {
        await StartAsync();
        var clock = Stopwatch.StartNew();
        while (!_added.Task.IsFaulted)
        {
            Advance(JoinStage.Committing);
            Assert.InRange(clock.ElapsedMilliseconds, 0, 10 * TimeoutMs);
            await Task.Delay(TimeoutMs / 10, TestContext.Current.CancellationToken); // its pace
        }
    }

    [Theory]
    [InlineData(JoinStage.CatchingUp, "node 4 catches up: log index ")]
    [InlineData(JoinStage.Snapshot, "node 4 takes the snapshot: 1.0 of 2.5 MB")]
    public async Task Every_few_seconds_there_is_something_to_show(JoinStage stage, string text)
    {
        await StartAsync(20_000);
        var clock = Stopwatch.StartNew();
        var next = ReceiveAsync();
        string? shown = null;
        while (shown is null)
        {
            Advance(stage);
            Assert.InRange(clock.ElapsedMilliseconds, 0, 15_000);
            await Task.Delay(50, TestContext.Current.CancellationToken); // its pace
            if (next.IsCompleted)
            {
                var word = await next;
                Assert.Equal(StatusCode.Progress, word.Status);
                shown = word.Value as string;
                next = ReceiveAsync();
            }
        }

        Assert.StartsWith(text, shown, StringComparison.Ordinal);
        Assert.InRange(clock.ElapsedMilliseconds, 2900, 15_000);
        _added.SetResult();
        await next;
    }

    [Fact]
    public async Task A_client_that_goes_ends_the_addition()
    {
        await StartAsync(20_000);
        Advance(JoinStage.CatchingUp);
        _client.Dispose();
        await Eventually.TrueAsync(() => _added.Task.IsFaulted, "the addition is cancelled");
        await Eventually.TrueAsync(() => _host.Host.Connections == 0, "its connection is gone");
        Advance(JoinStage.CatchingUp);
    }

    private async Task<uint> StartAsync(int timeoutMs = TimeoutMs)
    {
        uint id = _client.Send(RequestCode.AddNode, timeoutMs, 4, "h", 7004);
        await Eventually.TrueAsync(() => _host.Node.Progress is not null, "it is under way");
        return id;
    }

    private void Advance(JoinStage stage) => _host.Node.Progress!.Report(
        new JoinProgress(stage, ++_index, 1000, 1024 * 1024, 5 * 512 * 1024));

    private Task<Answer> ReceiveAsync() => Task.Run(() => _client.Receive());
}
