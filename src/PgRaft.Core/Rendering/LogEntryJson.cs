// Shows a log entry to a person: the JSON of pgraft_log_get_entry. Bytes that are not UTF-8 appear
// in base64 under the field's name with "_base64", so nothing is lost or made up.
// Threading: pure. Failure: none; bytes that are no command are shown as such.
using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

using PgRaft.Core.Commands;
using PgRaft.Core.Requests;

namespace PgRaft.Core.Rendering;

/// <summary>What kind of payload a log entry carries.</summary>
public enum LogEntryKind
{
    /// <summary>A command, or nothing for the engine's no-op.</summary>
    Command = 0,

    /// <summary>A configuration of the cluster, in the engine's encoding.</summary>
    Configuration = 1,
}

/// <summary>Renders log entries as JSON objects.</summary>
/// <remarks>Threading: stateless; any thread.</remarks>
public static class LogEntryJson
{
    private static readonly JsonWriterOptions Options = new()
    {
        // The text goes to a terminal or a client, never into HTML.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Renders one entry as an object with <c>index</c>, <c>term</c>, <c>type</c> and the
    /// fields of that type.</summary>
    /// <param name="index">Log index.</param>
    /// <param name="term">Term of the entry.</param>
    /// <param name="payload">The entry's bytes.</param>
    /// <param name="kind">What the bytes are.</param>
    /// <returns>Types: <c>noop</c>; <c>configuration</c> (data); <c>opaque</c> (data);
    /// <c>kv_put</c> (key, value, lease_id); <c>kv_delete</c> (key); <c>kv_compact</c> (revision);
    /// <c>kv_cas</c> (key, expected_mod_revision, value); <c>unknown</c> (reason, data) for bytes
    /// that are no command. Commands with a request id also have <c>request</c>, as
    /// session/slot/sequence.</returns>
    public static string Render(
        long index,
        long term,
        ReadOnlySpan<byte> payload,
        LogEntryKind kind = LogEntryKind.Command)
    {
        var buffer = new ArrayBufferWriter<byte>(128 + payload.Length);
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            json.WriteNumber("index", index);
            json.WriteNumber("term", term);
            WritePayload(json, payload, kind);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void WritePayload(
        Utf8JsonWriter json, ReadOnlySpan<byte> payload, LogEntryKind kind)
    {
        if (kind == LogEntryKind.Configuration)
        {
            json.WriteString("type", "configuration");
            json.WriteBase64String("data_base64", payload);
        }
        else if (payload.IsEmpty)
        {
            json.WriteString("type", "noop");
        }
        else
        {
            WriteCommand(json, payload);
        }
    }

    private static void WriteCommand(Utf8JsonWriter json, ReadOnlySpan<byte> payload)
    {
        var status = Command.TryDecode(payload, out var command);
        switch (command.Type)
        {
            case CommandType.Opaque:
                json.WriteString("type", "opaque");
                WriteBytes(json, "data", command.Value);
                break;
            case CommandType.KvPut:
                json.WriteString("type", "kv_put");
                WriteBytes(json, "key", command.Key);
                WriteBytes(json, "value", command.Value);
                json.WriteNumber("lease_id", command.LeaseId);
                break;
            case CommandType.KvDelete:
                json.WriteString("type", "kv_delete");
                WriteBytes(json, "key", command.Key);
                break;
            case CommandType.KvCompact:
                json.WriteString("type", "kv_compact");
                json.WriteNumber("revision", command.Revision);
                break;
            case CommandType.KvCas:
                json.WriteString("type", "kv_cas");
                WriteBytes(json, "key", command.Key);
                json.WriteNumber("expected_mod_revision", command.Revision);
                WriteBytes(json, "value", command.Value);
                break;
            default:
                json.WriteString("type", "unknown");
                json.WriteString("reason", Reason(status));
                json.WriteBase64String("data_base64", payload);
                break;
        }

        if (!command.Id.IsNone)
            WriteId(json, command.Id);
    }

    // The same in every copy of a request: which tells a reader of the log that it is one.
    private static void WriteId(Utf8JsonWriter json, RequestId id) => json.WriteString(
        "request",
        string.Create(
            CultureInfo.InvariantCulture, $"{id.Session:x16}/{id.Slot}/{id.Sequence}"));

    private static string Reason(CommandDecodeStatus status) => status switch
    {
        CommandDecodeStatus.Truncated => "truncated",
        CommandDecodeStatus.UnknownVersion => "unknown format version",
        CommandDecodeStatus.UnknownType => "unknown command type",
        CommandDecodeStatus.TrailingBytes => "trailing bytes",
        CommandDecodeStatus.BadKeyLength => "bad key length",
        CommandDecodeStatus.ValueTooLarge => "value too large",
        _ => "number out of range",
    };

    private static void WriteBytes(Utf8JsonWriter json, string name, ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes))
            json.WriteString(name, bytes);
        else
            json.WriteBase64String(name + "_base64", bytes);
    }
}
