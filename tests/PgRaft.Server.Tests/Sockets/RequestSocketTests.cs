using Microsoft.Extensions.Logging;

using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Logging;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Sockets;

public class RequestSocketTests
{
    [Fact]
    public async Task The_socket_is_private_to_its_user()
    {
        await using var host = await TestHost.StartAsync();
        var mode = File.GetUnixFileMode(host.SocketPath);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, mode);
    }

    [Fact]
    public async Task What_a_crashed_predecessor_left_is_removed()
    {
        await using var host = TestHost.Create();
        await File.WriteAllTextAsync(
            host.SocketPath, "stale", TestContext.Current.CancellationToken);
        await host.Host.StartAsync();
        using var client = host.Connect();
        Assert.Equal(StatusCode.Ok, (await client.CallAsync(RequestCode.GetNodes)).Status);
    }

    [Fact]
    public async Task The_socket_is_gone_after_a_stop()
    {
        await using var host = await TestHost.StartAsync();
        await host.Host.StopAsync();
        Assert.False(File.Exists(host.SocketPath));
    }

    [Fact]
    public async Task A_path_too_long_for_a_socket_is_a_clear_error()
    {
        await using var host = TestHost.Create(o => o with
        {
            Node = o.Node with { DataDirectory = "/tmp/" + new string('x', 110) },
        });
        await host.Host.StartAsync();
        Assert.Equal(WorkerState.Error, host.Status.Last.State);
        Assert.Contains("too long", host.Status.Last.ErrorText, StringComparison.Ordinal);
        Assert.Contains("pgraft.data_dir", host.Status.Last.ErrorText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_of_a_connection_are_answered_in_order()
    {
        await using var host = await TestHost.StartAsync();
        using var client = host.Connect();
        for (int i = 0; i < 50; i++)
            client.Send(RequestCode.KvPut, 10_000, "k", $"{i}", 0L);
        uint last = client.Send(RequestCode.KvGet, 10_000, "k", true);
        for (uint id = 1; id < last; id++)
            Assert.Equal((id, (long)id), (client.Receive() is var a ? a.RequestId : 0, a.Value));
        Assert.Equal("49", client.Receive().Value);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(3u)]
    [InlineData(uint.MaxValue)]
    public async Task Garbage_closes_only_its_own_connection(uint length)
    {
        await using var host = await TestHost.StartAsync();
        using var good = host.Connect();
        using var bad = host.Connect();
        bad.SendRaw([.. BitConverter.GetBytes(length), .. new byte[100]]);
        Assert.True(bad.IsClosedByServer());
        Assert.Equal(StatusCode.Ok, (await good.CallAsync(RequestCode.GetNodes)).Status);
    }

    [Fact]
    public async Task Garbage_is_logged_once_a_minute_and_no_more()
    {
        await using var host = await TestHost.StartAsync();
        for (int i = 0; i < 20; i++)
        {
            using var bad = host.Connect();
            bad.SendRaw(new byte[8]);
            Assert.True(bad.IsClosedByServer());
        }

        Assert.Single(host.Log.Records, r => r.EventId == 2013);
    }

    [Theory]
    [InlineData(99, 0, "request code 99 is unknown")]
    [InlineData(4, 1, "flags must be 0")]
    public async Task A_bad_request_in_good_bounds_is_answered(int code, byte flags, string detail)
    {
        await using var host = await TestHost.StartAsync();
        using var client = host.Connect();
        var frame = TestClient.Frame(code, 5, 1000);
        frame[6] = flags;
        client.SendRaw(frame);
        var answer = client.Receive();
        Assert.Equal((StatusCode.BadArgument, 5u), (answer.Status, answer.RequestId));
        Assert.Equal(detail, answer.Detail);
        Assert.Equal(StatusCode.Ok, (await client.CallAsync(RequestCode.GetNodes)).Status);
    }

    [Fact]
    public async Task Random_bodies_are_each_answered_and_do_no_harm()
    {
        await using var host = await TestHost.StartAsync();
        using var client = host.Connect();
        int seed = Environment.TickCount;
        var random = new Random(seed);
        for (uint id = 1; id <= 500; id++)
        {
            var frame = TestClient.Frame(random.Next(0, 30), id, 1000);
            var values = new byte[random.Next(0, 40)];
            random.NextBytes(values);
            BitConverter.TryWriteBytes(frame, 16 + values.Length);
            frame[16] = (byte)random.Next(0, 4);
            client.SendRaw([.. frame, .. values]);
            var answer = client.Receive();
            Assert.True(
                answer.RequestId == id && answer.Status != StatusCode.Internal,
                $"seed {seed}: {answer.Summary}");
        }

        Assert.Equal(StatusCode.Ok, (await client.CallAsync(RequestCode.GetNodes)).Status);
    }

    [Fact]
    public async Task A_request_is_cancelled_when_its_client_goes()
    {
        await using var host = await TestHost.StartAsync();
        var entered = Eventually.NewSignal();
        var cancelled = Eventually.NewSignal();
        host.Node.OnPropose = async (_, _, token) =>
        {
            entered.SetResult();
            using var registration = token.Register(cancelled.SetResult);
            await Task.Delay(Timeout.Infinite, token);
            return default;
        };
        using (var client = host.Connect())
        {
            client.Send(RequestCode.KvPut, 600_000, "k", "v", 0L);
            await Eventually.InTimeAsync(entered.Task);
        }

        await Eventually.InTimeAsync(cancelled.Task);
        await Eventually.TrueAsync(() => host.Host.Connections == 0, "the connection is gone");
        Assert.Equal(0, host.Status.Last.RequestsPending);
    }

    [Fact]
    public async Task Connections_beyond_the_limit_are_told_so()
    {
        await using var host = await TestHost.StartAsync();
        var clients = new List<TestClient>();
        try
        {
            while (clients.Count < 1000)
                clients.Add(host.Connect());
            await Eventually.TrueAsync(() => host.Host.Connections == 1000, "all are accepted");
            for (int i = 0; i < 3; i++)
            {
                using var extra = host.Connect();
                var answer = extra.Receive();
                Assert.Equal((StatusCode.Busy, 0u), (answer.Status, answer.RequestId));
                Assert.True(extra.IsClosedByServer());
            }

            Assert.Equal(StatusCode.Ok, (await clients[0].CallAsync(RequestCode.GetNodes)).Status);

            // Once a minute, whoever asks.
            Assert.Equal(
                ["refused 1 connections: 1000 are open already"],
                host.Log.Records.Where(r => r.EventId == 2012).Select(r => r.Text));
        }
        finally
        {
            clients.ForEach(c => c.Dispose());
        }
    }

    [Fact]
    public async Task An_unexpected_exception_of_a_read_is_an_internal_error_and_logged()
    {
        await using var host = await TestHost.StartAsync();
        host.Node.OnReadBarrier = _ => throw new InvalidCastException("odd");
        using var client = host.Connect();
        var answer = await client.CallAsync(RequestCode.KvGet, "k", true);
        Assert.Equal(StatusCode.Internal, answer.Status);
        Assert.Equal("InvalidCastException: odd", answer.Detail);
        Assert.Contains(
            host.Log.Records, r => r.EventId == 2015 && r.Level == LogLevel.Error);
    }

    // The clients of a defect may be many; each has its answer, but not the log.
    [Fact]
    public async Task An_unexpected_exception_that_repeats_does_not_fill_the_log()
    {
        await using var host = await TestHost.StartAsync();
        host.Node.OnReadBarrier = _ => throw new InvalidCastException("odd");
        using var client = host.Connect();
        for (int i = 0; i < 3 * LogThrottle.MaxRecords; i++)
        {
            var answer = await client.CallAsync(RequestCode.KvGet, "k", true);
            Assert.Equal(StatusCode.Internal, answer.Status);
        }

        Assert.Equal(LogThrottle.MaxRecords, host.Log.Records.Count(r => r.EventId == 2015));
    }

    // Outside of any request, so that there is no answer: the connection ends, the others do not.
    [Fact]
    public async Task An_unexpected_exception_of_a_connection_is_logged_and_ends_it_alone()
    {
        await using var host = await TestHost.StartAsync();
        using var good = host.Connect();
        using var bad = host.Connect();
        host.Status.PublishingRequests = () => throw new InvalidCastException("odd");
        bad.Send(RequestCode.GetNodes, 10_000);

        Assert.True(bad.IsClosedByServer());
        host.Status.PublishingRequests = () => { };
        Assert.Equal(StatusCode.Ok, (await good.CallAsync(RequestCode.GetNodes)).Status);
        await Eventually.TrueAsync(
            () => host.Log.Records.Any(r => r.EventId == 2014), "the log says it");
        var record = Assert.Single(host.Log.Records, r => r.EventId == 2014);
        Assert.Equal(LogLevel.Error, record.Level);
        Assert.Equal(
            "a connection to the request socket failed: InvalidCastException: odd", record.Text);
    }

    [Fact]
    public async Task An_unexpected_exception_of_a_write_leaves_its_outcome_unknown()
    {
        await using var host = await TestHost.StartAsync();
        host.Node.OnPropose = (_, _, _) => throw new InvalidCastException("odd");
        using var client = host.Connect();
        var answer = await client.CallAsync(RequestCode.KvPut, "k", "v", 0L);
        Assert.Equal(StatusCode.OutcomeUnknown, answer.Status);
        Assert.Contains("InvalidCastException: odd", answer.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_are_counted_while_they_run_and_after()
    {
        await using var host = await TestHost.StartAsync();
        var release = Eventually.NewSignal<long>();
        host.Node.OnReadBarrier = _ => new(release.Task);
        using var client = host.Connect();
        client.Send(RequestCode.KvGet, 10_000, "k", true);
        await Eventually.TrueAsync(() => host.Status.Last.RequestsPending == 1, "one is pending");
        release.SetResult(1);
        client.Receive();
        await Eventually.TrueAsync(() => host.Status.Last.RequestsProcessed == 1, "it is counted");
        Assert.Equal(0, host.Status.Last.RequestsPending);
    }

    [Fact]
    public async Task A_stop_answers_what_is_running()
    {
        await using var host = await TestHost.StartAsync();
        var entered = Eventually.NewSignal();
        host.Node.OnReadBarrier = async token =>
        {
            entered.SetResult();
            await Task.Delay(Timeout.Infinite, token);
            return 0;
        };
        using var client = host.Connect();
        client.Send(RequestCode.KvGet, 600_000, "k", true);
        await Eventually.InTimeAsync(entered.Task);
        var stopping = host.Host.StopAsync();
        Assert.Equal(StatusCode.Stopping, client.Receive().Status);
        await Eventually.InTimeAsync(stopping);
        Assert.True(client.IsClosedByServer());
    }
}
