using CsCheck;

using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Protocol;

public class ValueReaderTests
{
    [Fact]
    public void Reads_every_type_in_order()
    {
        var reader = Open(6, true, 7, -1L, null, 9L, "é");
        Assert.True(reader.ReadBool());
        Assert.Equal(7, reader.ReadInt32());
        Assert.Equal(-1, reader.ReadInt64());
        Assert.Null(reader.ReadNullableInt64());
        Assert.Equal(9, reader.ReadNullableInt64());
        Assert.Equal("é"u8, reader.ReadText());
        reader.End();
    }

    [Fact]
    public void Refuses_another_number_of_arguments() =>
        Refused("takes 2 arguments, not 1", () => Open(2, 1));

    [Fact]
    public void Refuses_another_type() =>
        Refused("argument 1 has type tag 2 instead of 4", () => Open(1, 1).ReadText());

    [Fact]
    public void Refuses_a_boolean_that_is_neither() =>
        Refused("is no boolean", () => Raw(1, 1, 2).ReadBool());

    [Fact]
    public void Refuses_a_text_longer_than_the_frame() =>
        Refused("is cut short", () => Raw(1, 4, 255, 255, 255, 255, 65).ReadText());

    [Fact]
    public void Refuses_a_number_cut_short() =>
        Refused("is cut short", () => Raw(1, 3, 1, 2).ReadInt64());

    [Fact]
    public void Refuses_bytes_after_the_last_argument() =>
        Refused("bytes follow", () =>
        {
            var reader = Raw(1, 1, 1, 0);
            reader.ReadBool();
            reader.End();
        });

    [Theory]
    [InlineData(new byte[] { 0xff })]
    [InlineData(new byte[] { 65, 0 })]
    public void Refuses_text_that_is_not_UTF8_or_has_NUL(byte[] text) =>
        Refused("not valid UTF-8", () => Open(1, text).ReadText());

    [Fact]
    public void Garbage_gives_nothing_but_the_typed_error() =>
        Gen.Byte.Array[0, 40].Sample(bytes =>
        {
            try
            {
                var reader = Raw(3, bytes);
                reader.ReadText();
                reader.ReadNullableInt64();
                reader.ReadBool();
                reader.End();
                return true;
            }
            catch (PgraftException e)
            {
                return e.Code == StatusCode.BadArgument;
            }
        });

    private static ValueReader Open(int expected, params object?[] values)
    {
        var frame = TestClient.Frame(20, 1, 1000, values);
        return new ValueReader(
            RequestHeader.Read(frame.AsSpan(4)), frame.AsSpan(20), expected);
    }

    private static ValueReader Raw(int count, params byte[] bytes) =>
        new(new RequestHeader(RequestCode.KvPut, 0, 1, 1, (uint)count), bytes, count);

    private static void Refused(string detail, Action read)
    {
        var error = Assert.Throws<PgraftException>(read);
        Assert.Equal(StatusCode.BadArgument, error.Code);
        Assert.Contains(detail, error.Detail, StringComparison.Ordinal);
    }
}
