// What a lost segment costs a stream: a timeout, for it and for all behind it.

using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PgRaft.Chaos.Network;

namespace PgRaft.Chaos.Tests;

public sealed class SegmentLossTests
{
    private static readonly TimeSpan NearRoundTrip = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan FarRoundTrip = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Stall = TimeSpan.FromMilliseconds(200);

    [Fact]
    public void Nothing_lost_costs_nothing()
    {
        var loss = new SegmentLoss(0.001, NearRoundTrip, () => 0.001);

        Assert.Equal(TimeSpan.Zero, loss.DelayOf(10 * SegmentLoss.SegmentBytes));
        Assert.Equal(0, loss.Lost);
    }

    [Fact]
    public void A_lost_segment_costs_two_round_trips_and_no_less_than_the_kernels_least_timeout()
    {
        Assert.Equal(Stall, new SegmentLoss(0.5, NearRoundTrip, Numbers(0, 1)).DelayOf(1));
        Assert.Equal(
            FarRoundTrip * 2, new SegmentLoss(0.5, FarRoundTrip, Numbers(0, 1)).DelayOf(1));
    }

    [Fact]
    public void The_timeout_doubles_when_the_retransmission_is_lost_too()
    {
        var loss = new SegmentLoss(0.5, NearRoundTrip, Numbers(0, 0, 0, 1));

        Assert.Equal(Stall + (Stall * 2) + (Stall * 4), loss.DelayOf(1));
        Assert.Equal(3, loss.Lost);
    }

    // Of three segments the middle one is lost once: the piece is whole when it has come.
    [Fact]
    public void Every_segment_of_a_piece_can_be_lost()
    {
        var loss = new SegmentLoss(0.5, NearRoundTrip, Numbers(1, 0, 1, 1));

        Assert.Equal(Stall, loss.DelayOf((2 * SegmentLoss.SegmentBytes) + 1));
        Assert.Equal(1, loss.Lost);
    }

    [Fact]
    public async Task What_is_behind_a_lost_segment_waits_for_it()
    {
        using var target = new TcpListener(IPAddress.Loopback, 0);
        target.Start();

        // The first piece is lost once, no other.
        var delay = new DelayRange(TimeSpan.Zero, TimeSpan.Zero)
        {
            Loss = new SegmentLoss(0.5, NearRoundTrip, Numbers(0, 1)),
        };
        await using var proxy = new DelayProxy(
            IPAddress.Loopback, (IPEndPoint)target.LocalEndpoint, delay);
        using var near = new TcpClient { NoDelay = true };
        await near.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        using var far = await target.AcceptTcpClientAsync(Stop);

        var clock = Stopwatch.StartNew();
        await near.GetStream().WriteAsync("a"u8.ToArray(), Stop);
        await near.GetStream().WriteAsync("b"u8.ToArray(), Stop);
        var buffer = new byte[2];
        await far.GetStream().ReadExactlyAsync(buffer, Stop);

        Assert.Equal("ab"u8.ToArray(), buffer);

        // Timers tick in milliseconds.
        Assert.True(clock.Elapsed > Stall - TimeSpan.FromMilliseconds(2), $"{clock.Elapsed}");
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    // These numbers, and then the last of them for ever.
    private static Func<double> Numbers(params double[] numbers)
    {
        var at = -1;
        return () => numbers[Math.Min(Interlocked.Increment(ref at), numbers.Length - 1)];
    }
}
