// What clients did and saw, as the linearizability checker reads it: one record an operation, with
// the times of its call and return. An outcome that is not known is a value of its own.
// Threading: any thread may add; Operations is a copy. Failure: writing throws what the file system
// throws and leaves the history as it was.
using System.Text.Json;

namespace PgRaft.Histories;

internal enum OperationKind
{
    Put,
    Get,
}

internal enum Outcome
{
    Ok,

    /// <summary>Certainly not done, and never will be.</summary>
    Failed,

    /// <summary>May take effect at any time after the call, or never.</summary>
    Unknown,
}

/// <summary>One call of one client.</summary>
/// <param name="Process">The client; it has one call under way at a time.</param>
/// <param name="Kind">What was asked.</param>
/// <param name="Key">The register.</param>
/// <param name="Value">Written or read; null is an absent key.</param>
/// <param name="CallNs">When it was sent, on a clock that all processes share.</param>
/// <param name="ReturnNs">When the answer was there, or was given up.</param>
/// <param name="Outcome">What is known of it.</param>
internal sealed record Operation(
    int Process,
    OperationKind Kind,
    string Key,
    string? Value,
    long CallNs,
    long ReturnNs,
    Outcome Outcome);

internal sealed class History
{
    private readonly Lock _lock = new();
    private readonly List<Operation> _operations = [];

    /// <summary>A copy of what was added so far, in the order of the calls.</summary>
    public IReadOnlyList<Operation> Operations
    {
        get
        {
            lock (_lock)
            {
                return [.. _operations.OrderBy(o => o.CallNs)];
            }
        }
    }

    public void Add(Operation op)
    {
        lock (_lock)
        {
            _operations.Add(op);
        }
    }

    /// <summary>
    /// One JSON object a line: process, type (ok, fail, info: Jepsen's words), op, key, value,
    /// call_ns, return_ns, outcome.
    /// </summary>
    public void WriteJsonLines(string path)
    {
        using FileStream file = File.Create(path);
        foreach (Operation op in Operations)
        {
            using (var json = new Utf8JsonWriter(file))
            {
                Write(json, op);
            }

            file.WriteByte((byte)'\n');
        }
    }

    private static void Write(Utf8JsonWriter json, Operation op)
    {
        (string type, string outcome) = op.Outcome switch
        {
            Outcome.Ok => ("ok", "ok"),
            Outcome.Failed => ("fail", "failed"),
            _ => ("info", "unknown"),
        };
        json.WriteStartObject();
        json.WriteNumber("process", op.Process);
        json.WriteString("type", type);
        json.WriteString("op", op.Kind == OperationKind.Put ? "put" : "get");
        json.WriteString("key", op.Key);
        json.WriteString("value", op.Value);
        json.WriteNumber("call_ns", op.CallNs);
        json.WriteNumber("return_ns", op.ReturnNs);
        json.WriteString("outcome", outcome);
        json.WriteEndObject();
    }
}
