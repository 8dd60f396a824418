// What pgraft_log_get_entry shows.
using System.Text.Json;

using PgRaft.Core.Commands;
using PgRaft.Core.Rendering;
using PgRaft.Core.Requests;

using Xunit;

namespace PgRaft.Core.Tests;

public class LogEntryJsonTests
{
    private const string Prefix = """{"index":5,"term":2,"type":""";

    [Fact]
    public void Shows_commands()
    {
        AssertJson(
            """ "kv_put","key":"k","value":"é\n","lease_id":7}""",
            CommandEncoder.KvPut("k"u8, "é\n"u8, 7));
        AssertJson(""" "kv_delete","key":"k"}""", CommandEncoder.KvDelete("k"u8));
        AssertJson(""" "kv_compact","revision":9}""", CommandEncoder.KvCompact(9));
        AssertJson(""" "opaque","data":"x"}""", CommandEncoder.Opaque("x"u8));
        AssertJson(
            """ "kv_cas","key":"k","expected_mod_revision":3,"value":"v"}""",
            CommandEncoder.KvCas("k"u8, 3, "v"u8));
        AssertJson(""" "noop"}""", []);
    }

    [Fact]
    public void Shows_bytes_that_are_no_text_in_base64()
    {
        AssertJson(
            """ "kv_put","key_base64":"/w==","value_base64":"wA==","lease_id":0}""",
            CommandEncoder.KvPut([0xff], [0xc0]));
        AssertJson(""" "opaque","data_base64":"/w=="}""", CommandEncoder.Opaque([0xff]));
    }

    [Fact]
    public void Shows_whose_request_it_is() => AssertJson(
        """ "kv_delete","key":"k","request":"00000000000000ab/7/12"}""",
        CommandEncoder.KvDelete("k"u8, new RequestId(0xab, 7, 12, 99)));

    [Theory]
    [InlineData("truncated", "01")]
    [InlineData("unknown format version", "0901")]
    [InlineData("unknown command type", "0109")]
    [InlineData("trailing bytes", "010301006b6b")]
    [InlineData("bad key length", "01030000")]
    [InlineData("value too large", "01020100ffffffff0000000000000000")]
    [InlineData("number out of range", "0104ffffffffffffffff")]
    public void Shows_what_is_no_command_and_why(string reason, string hex)
    {
        byte[] bytes = Convert.FromHexString(hex);
        string base64 = Convert.ToBase64String(bytes);
        AssertJson($$""" "unknown","reason":"{{reason}}","data_base64":"{{base64}}"}""", bytes);
    }

    [Fact]
    public void Shows_configurations_as_such() => Assert.Equal(
        Prefix + """ "configuration","data_base64":"AQM="}""".TrimStart(),
        LogEntryJson.Render(5, 2, [1, 3], LogEntryKind.Configuration));

    private static void AssertJson(string expected, byte[] command)
    {
        string json = LogEntryJson.Render(5, 2, command);
        Assert.Equal(Prefix + expected.TrimStart(), json);
        using var parsed = JsonDocument.Parse(json);
        Assert.Equal(5, parsed.RootElement.GetProperty("index").GetInt64());
    }
}
