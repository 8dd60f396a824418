using System.Buffers;

using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Protocol;

public class FrameTests
{
    [Fact]
    public void A_header_survives_writing_and_reading()
    {
        var header = new RequestHeader(RequestCode.KvPut, 0, 77, 1500, 3);
        var frame = new byte[20];
        header.Write(frame, 5);
        Assert.Equal(21, BitConverter.ToInt32(frame));
        Assert.Equal(header, RequestHeader.Read(frame.AsSpan(4)));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(-1, 600_000)]
    [InlineData(600_001, 600_000)]
    public void A_timeout_is_clamped(int sent, int used)
    {
        var frame = TestClient.Frame(21, 1, sent);
        Assert.Equal(used, RequestHeader.Read(frame.AsSpan(4)).TimeoutMs);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_000)]
    public async Task Frames_are_found_however_the_bytes_arrive(int pieceBytes)
    {
        var first = TestClient.Frame(20, 1, 1, new string('a', 5000));
        var second = TestClient.Frame(21, 2, 1);
        using var reader = Reader([.. first, .. second], pieceBytes);
        var one = await reader.ReadAsync(TestContext.Current.CancellationToken);
        Assert.Equal(first[4..], one!.Value.ToArray());
        var two = await reader.ReadAsync(TestContext.Current.CancellationToken);
        Assert.Equal(second[4..], two!.Value.ToArray());
        Assert.Null(await reader.ReadAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_frame_stays_valid_while_the_next_is_read()
    {
        var first = TestClient.Frame(20, 1, 1, "abc");
        var second = TestClient.Frame(20, 2, 1, "xyz");
        using var reader = Reader([.. first, .. second], 9);
        var one = (await reader.ReadAsync(TestContext.Current.CancellationToken))!.Value;
        await reader.ReadAsync(TestContext.Current.CancellationToken);
        Assert.Equal(first[4..], one.ToArray());
    }

    [Theory]
    [InlineData(15u)]
    [InlineData(64u * 1024 * 1024 + 1)]
    [InlineData(uint.MaxValue)]
    public async Task A_length_out_of_bounds_ends_the_stream(uint claimed)
    {
        using var reader = Reader([.. BitConverter.GetBytes(claimed), .. new byte[64]], 100);
        await Assert.ThrowsAsync<InvalidDataException>(
            () => reader.ReadAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_end_inside_a_frame_is_told_from_an_end_between_frames()
    {
        using var reader = Reader(TestClient.Frame(20, 1, 1, "abc")[..^1], 100);
        await Assert.ThrowsAsync<InvalidDataException>(
            () => reader.ReadAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_claimed_length_reserves_nothing_before_its_bytes_arrive()
    {
        var budget = new MemoryBudget(1024 * 1024);
        var bytes = BitConverter.GetBytes(64 * 1024 * 1024).Concat(new byte[1000]).ToArray();
        using var reader = new FrameReader(new PiecewiseStream(bytes, 100), budget);
        await Assert.ThrowsAsync<InvalidDataException>(
            () => reader.ReadAsync(TestContext.Current.CancellationToken));
        Assert.Equal(0, budget.UsedBytes);
    }

    [Fact]
    public async Task A_frame_beyond_the_budget_is_refused_by_its_id()
    {
        var budget = new MemoryBudget(100_000);
        var frame = TestClient.Frame(20, 42, 1, new string('a', 500_000));
        using var reader = new FrameReader(new PiecewiseStream(frame, 8192), budget);
        var error = await Assert.ThrowsAsync<PgraftException>(
            () => reader.ReadAsync(TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.Busy, error.Code);
        Assert.Equal(42u, reader.PartialRequestId);
    }

    [Fact]
    public void A_large_buffer_gives_its_reservation_back()
    {
        var budget = new MemoryBudget(10_000_000);
        using var buffer = new FrameBuffer(budget);
        buffer.Write(new byte[1_000_000]);
        Assert.True(budget.UsedBytes >= 1_000_000);
        buffer.Clear();
        Assert.Equal(0, budget.UsedBytes);
    }

    [Fact]
    public void A_buffer_ends_at_the_largest_frame()
    {
        using var buffer = new FrameBuffer(new MemoryBudget(long.MaxValue));
        var error = Assert.Throws<PgraftException>(
            () => buffer.GetSpan(Wire.MaxFrameBytes + Wire.LengthBytes + 1));
        Assert.Equal(StatusCode.TooLarge, error.Code);
    }

    private static FrameReader Reader(byte[] bytes, int pieceBytes) =>
        new(new PiecewiseStream(bytes, pieceBytes), new MemoryBudget(1 << 24));

    private sealed class PiecewiseStream(byte[] bytes, int pieceBytes) : MemoryStream(bytes)
    {
        public override async ValueTask<int> ReadAsync(
            Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            return Read(buffer.Span[..Math.Min(pieceBytes, buffer.Length)]);
        }
    }
}
