using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Native;
using PgRaft.Server.Hosting;
using PgRaft.Server.Protocol;

using Xunit;

namespace PgRaft.Abi.Tests;

public class LayoutTests
{
    private static readonly Dictionary<string, Type> Structs = new()
    {
        ["PgraftHandshake"] = typeof(PgraftHandshake),
        ["PgraftFinding"] = typeof(PgraftFinding),
        ["PgraftConfig"] = typeof(PgraftConfig),
        ["PgraftStatus"] = typeof(PgraftStatus),
        ["PgraftLogRecord"] = typeof(PgraftLogRecord),
    };

    private static readonly Dictionary<string, (Type Mirror, string Prefix)> Enums = new()
    {
        ["PgraftStatusCode"] = (typeof(StatusCode), "PGRAFT_"),
        ["PgraftWorkerState"] = (typeof(WorkerState), "PGRAFT_WORKER_"),
        ["PgraftRole"] = (typeof(NodeRole), "PGRAFT_ROLE_"),
        ["PgraftLogLevel"] = (typeof(AbiLogLevel), "PGRAFT_LOG_"),
        ["PgraftRequestCode"] = (typeof(RequestCode), "PGRAFT_REQ_"),
        ["PgraftValueTag"] = (typeof(ValueTag), "PGRAFT_VALUE_"),
    };

    [Fact]
    public void Every_struct_of_the_header_has_a_mirror_of_its_size()
    {
        Assert.Equal(Structs.Keys.Order(), CHeader.Structs.Select(s => s.Key).Order());
        foreach (var (name, mirror) in Structs)
        {
            string line = Assert.Single(Lines($"struct {name} "));
            Assert.Equal($"struct {name} {Marshal.SizeOf(mirror)}", line);
        }
    }

    [Fact]
    public void Every_field_of_the_header_is_where_the_mirror_has_it()
    {
        foreach (var (name, mirror) in Structs)
        {
            var fields = mirror.GetFields(BindingFlags.Instance | BindingFlags.Public);
            Assert.Equal(CHeader.Structs[name].Select(CHeader.Pascal), fields.Select(f => f.Name));
            var expected = CHeader.Structs[name].Zip(fields, (c, f) => string.Create(
                CultureInfo.InvariantCulture,
                $"{name}.{c} {Marshal.OffsetOf(mirror, f.Name)} {SizeOf(f)}"));
            Assert.Equal(expected, Lines(name + "."));
        }
    }

    [Fact]
    public void Every_constant_of_the_header_has_the_mirror_s_value()
    {
        Assert.Equal(Enums.Keys.Order(), CHeader.Enums.Select(e => e.Key).Order());
        foreach (var (name, (mirror, prefix)) in Enums)
        {
            var header = CHeader.Enums[name].ToDictionary(
                c => CHeader.Pascal(c[prefix.Length..]),
                c => long.Parse(CHeader.ValueOf(c), CultureInfo.InvariantCulture));
            var ours = Enum.GetValuesAsUnderlyingType(mirror).Cast<object>().ToDictionary(
                v => Enum.GetName(mirror, v)!,
                v => Convert.ToInt64(v, CultureInfo.InvariantCulture));
            Assert.Equal(header.OrderBy(x => x.Key), ours.OrderBy(x => x.Key));
        }
    }

    [Theory]
    [InlineData("PGRAFT_ABI_VERSION", Native.Abi.Version)]
    [InlineData("PGRAFT_ERROR_TEXT_BYTES", Native.Abi.ErrorTextBytes)]
    [InlineData("PGRAFT_LOG_TEXT_BYTES", Native.Abi.LogTextBytes)]
    [InlineData("PGRAFT_LOG_CATEGORY_BYTES", Native.Abi.LogCategoryBytes)]
    [InlineData("PGRAFT_MAX_FRAME_BYTES", Wire.MaxFrameBytes)]
    public void A_limit_is_the_same_on_both_sides(string name, object value) =>
        Assert.Equal(Convert.ToString(value, CultureInfo.InvariantCulture), CHeader.ValueOf(name));

    [Fact]
    public void The_socket_has_the_header_s_name() =>
        Assert.Equal($"\"{Wire.SocketName}\"", CHeader.ValueOf("PGRAFT_SOCKET_NAME"));

    [Fact]
    public void The_exports_are_those_of_the_header()
    {
        var names = new[] { "HANDSHAKE", "START", "RELOAD", "REQUEST_STOP", "NEXT_LOG" }
            .Select(n => CHeader.ValueOf("PGRAFT_CORE_" + n).Trim('"'));
        var exports = typeof(Exports).GetMethods(BindingFlags.Static | BindingFlags.Public)
            .Select(m => m.GetCustomAttribute<UnmanagedCallersOnlyAttribute>()!.EntryPoint);
        Assert.Equal(names.Order(), exports.Order());
    }

    private static IEnumerable<string> Lines(string prefix) =>
        CHeader.Layout.Where(l => l.StartsWith(prefix, StringComparison.Ordinal));

    private static int SizeOf(FieldInfo field)
    {
        if (field.GetCustomAttribute<FixedBufferAttribute>() is { } buffer)
            return buffer.Length;
        return field.FieldType.IsPointer ? IntPtr.Size : Marshal.SizeOf(field.FieldType);
    }
}
