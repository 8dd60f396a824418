// Reads a history back from its JSON lines, as strictly as an outside tool may: every field is
// there and of its kind, times are possible, and a process makes one call at a time, and none
// after one that was left open.
// Threading: no state. Failure: InvalidDataException with the line and what is wrong with it.
using System.Globalization;
using System.Text.Json;

namespace PgRaft.Histories;

internal static class HistoryFile
{
    /// <summary>All operations of a file, in its order, which is that of the calls.</summary>
    /// <exception cref="InvalidDataException">A line is not what it should be.</exception>
    public static IReadOnlyList<Operation> Read(string path)
    {
        var operations = new List<Operation>();
        var last = new Dictionary<int, Operation>();
        foreach (string line in File.ReadLines(path))
        {
            try
            {
                var op = ReadLine(line);
                RequireFree(last.GetValueOrDefault(op.Process), op);
                last[op.Process] = op;
                operations.Add(op);
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException
                or InvalidOperationException or FormatException or InvalidDataException)
            {
                string at = (operations.Count + 1).ToString(CultureInfo.InvariantCulture);
                throw new InvalidDataException($"line {at} of {path}: {e.Message} ({line})", e);
            }
        }

        return operations;
    }

    private static void RequireFree(Operation? before, Operation op)
    {
        if (op.ReturnNs < op.CallNs)
        {
            throw new InvalidDataException("it returns before its call");
        }

        if (before is not null
            && (before.Outcome == Outcome.Unknown || before.ReturnNs > op.CallNs))
        {
            throw new InvalidDataException("its process has another call under way");
        }
    }

    private static Operation ReadLine(string line)
    {
        using var document = JsonDocument.Parse(line);
        var json = document.RootElement;
        var outcome = (Text(json, "type"), Text(json, "outcome")) switch
        {
            ("ok", "ok") => Outcome.Ok,
            ("fail", "failed") => Outcome.Failed,
            ("info", "unknown") => Outcome.Unknown,
            _ => throw new InvalidDataException("no such outcome"),
        };
        var op = new Operation(
            json.GetProperty("process").GetInt32(), KindOf(Text(json, "op")),
            Text(json, "key") ?? throw new InvalidDataException("no key"), Text(json, "value"),
            Number(json, "call_ns"), Number(json, "return_ns"), outcome)
        {
            Revision = OptionalNumber(json, "revision"),
        };
        return op.Kind switch
        {
            OperationKind.Cas => op with
            {
                ExpectedRevision = OptionalNumber(json, "expected_revision"),
                Expected = json.TryGetProperty("expected_revision", out _)
                    ? null
                    : Text(json, "expected"),
                Swapped = json.GetProperty("swapped").GetBoolean(),
            },
            OperationKind.Append => op with
            {
                Term = Number(json, "term"),
                Index = Number(json, "index"),
            },
            _ => op,
        };
    }

    private static OperationKind KindOf(string? name) => name switch
    {
        "put" => OperationKind.Put,
        "get" => OperationKind.Get,
        "cas" => OperationKind.Cas,
        "append" => OperationKind.Append,
        _ => throw new InvalidDataException("no such operation"),
    };

    private static string? Text(JsonElement json, string name) =>
        json.GetProperty(name).GetString();

    private static long Number(JsonElement json, string name) => json.GetProperty(name).GetInt64();

    private static long? OptionalNumber(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) ? value.GetInt64() : null;
}
