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

    /// <summary>Writes if the register holds what is expected.</summary>
    Cas,

    /// <summary>Adds an entry to the log, if the caller's term is the current one.</summary>
    Append,
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
/// <param name="Key">The register; empty for an append.</param>
/// <param name="Value">Written, read or appended; null is an absent key.</param>
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
    Outcome Outcome)
{
    /// <summary>Cas: the value that was expected, null = absent; ignored when
    /// <see cref="ExpectedRevision"/> is set.</summary>
    public string? Expected { get; init; }

    /// <summary>Cas: the modification revision that was expected, 0 = absent.</summary>
    public long? ExpectedRevision { get; init; }

    /// <summary>Put, get, cas: the value's modification revision as answered, 0 = absent; null =
    /// not asked for.</summary>
    public long? Revision { get; init; }

    /// <summary>Cas with <see cref="Outcome.Ok"/>: whether the comparison held and the value was
    /// written.</summary>
    public bool Swapped { get; init; }

    /// <summary>Append: the term the caller believed current.</summary>
    public long Term { get; init; }

    /// <summary>Append with <see cref="Outcome.Ok"/>: the log index answered.</summary>
    public long Index { get; init; }
}

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
    /// One JSON object a line: process, type (ok, fail, info: Jepsen's words), op (put, get, cas,
    /// append), key, value, call_ns, return_ns, outcome; for a cas also expected or
    /// expected_revision, and swapped; for an append term and index; revision where answered.
    /// </summary>
    public void WriteJsonLines(string path)
    {
        using FileStream file = File.Create(path);
        WriteJsonLines(file);
    }

    /// <summary>
    /// Adds the operations of a history, and makes the file if there is none.
    /// </summary>
    public void AppendJsonLines(string path)
    {
        using var file = new FileStream(path, FileMode.Append, FileAccess.Write);
        WriteJsonLines(file);
    }

    private void WriteJsonLines(FileStream file)
    {
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
        json.WriteString("op", NameOf(op.Kind));
        json.WriteString("key", op.Key);
        json.WriteString("value", op.Value);
        json.WriteNumber("call_ns", op.CallNs);
        json.WriteNumber("return_ns", op.ReturnNs);
        json.WriteString("outcome", outcome);
        WriteDetails(json, op);
        json.WriteEndObject();
    }

    private static void WriteDetails(Utf8JsonWriter json, Operation op)
    {
        if (op.Kind == OperationKind.Cas)
        {
            if (op.ExpectedRevision is { } expected)
            {
                json.WriteNumber("expected_revision", expected);
            }
            else
            {
                json.WriteString("expected", op.Expected);
            }

            json.WriteBoolean("swapped", op.Swapped);
        }

        if (op.Kind == OperationKind.Append)
        {
            json.WriteNumber("term", op.Term);
            json.WriteNumber("index", op.Index);
        }

        if (op.Revision is { } revision)
        {
            json.WriteNumber("revision", revision);
        }
    }

    private static string NameOf(OperationKind kind) => kind switch
    {
        OperationKind.Put => "put",
        OperationKind.Get => "get",
        OperationKind.Cas => "cas",
        _ => "append",
    };
}
