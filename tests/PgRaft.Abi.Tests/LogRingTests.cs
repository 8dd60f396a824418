using System.IO.Pipes;

using Microsoft.Extensions.Logging;

using PgRaft.Native;
using PgRaft.Server.Logging;

using Xunit;

namespace PgRaft.Abi.Tests;

public sealed unsafe class LogRingTests : IDisposable
{
    private readonly AnonymousPipeServerStream _wakes = new(PipeDirection.In);
    private readonly LogRing _ring;

    public LogRingTests() => _ring = new LogRing(
        3, new WakeEvent((int)_wakes.ClientSafePipeHandle.DangerousGetHandle()));

    public void Dispose() => _wakes.Dispose();

    [Fact]
    public void Records_come_out_in_order_and_a_full_ring_drops_and_counts()
    {
        for (int i = 1; i <= 5; i++)
            _ring.Write(LogLevel.Warning, i, "category", $"text {i}");
        Assert.Equal(2, _ring.Dropped);
        var record = default(PgraftLogRecord);
        for (int i = 1; i <= 3; i++)
        {
            Assert.True(_ring.TryTake(&record));
            Assert.Equal((i, 2), (record.EventId, record.Level));
            Assert.Equal($"text {i}", CText.Read(record.Text));
            Assert.Equal("category", CText.Read(record.Category));
        }

        Assert.False(_ring.TryTake(&record));
    }

    [Fact]
    public void A_record_wakes_the_main_thread()
    {
        _ring.Write(LogLevel.Information, 1, "c", "t");
        _wakes.DisposeLocalCopyOfClientHandle();
        Assert.Equal(8, _wakes.ReadAtLeast(new byte[64], 64, throwOnEndOfStream: false));
    }

    [Theory]
    [InlineData(LogLevel.Debug, 0)]
    [InlineData(LogLevel.Information, 1)]
    [InlineData(LogLevel.Warning, 2)]
    [InlineData(LogLevel.Error, 3)]
    [InlineData(LogLevel.Critical, 3)]
    public void Levels_are_those_of_the_contract(LogLevel level, int expected)
    {
        _ring.Write(level, 1, "c", "t");
        var record = default(PgraftLogRecord);
        Assert.True(_ring.TryTake(&record));
        Assert.Equal(expected, record.Level);
    }

    // However many records were left out.
    [Fact]
    public void The_longest_text_of_an_event_fits_with_what_is_said_after_it()
    {
        string text = new string('t', LogText.MaxBytes)
            + $" ({long.MaxValue} more like it were left out)";
        _ring.Write(LogLevel.Error, 1, "c", text);
        var record = default(PgraftLogRecord);
        Assert.True(_ring.TryTake(&record));
        Assert.Equal(text, CText.Read(record.Text));
    }

    [Fact]
    public void Texts_that_do_not_fit_are_cut_and_a_NUL_inside_hides_nothing()
    {
        _ring.Write(LogLevel.Error, 1, new string('c', 100), "a\0b" + new string('t', 2000));
        var record = default(PgraftLogRecord);
        Assert.True(_ring.TryTake(&record));
        Assert.Equal(new string('c', 63), CText.Read(record.Category));
        string text = CText.Read(record.Text);
        Assert.Equal((1023, "a b"), (text.Length, text[..3]));
    }
}
