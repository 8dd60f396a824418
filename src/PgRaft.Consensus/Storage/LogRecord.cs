// What the log holds: one entry and its kind. The kind's numbers are part of the file format
// (docs/storage.md). Threading: immutable. Failure: none.
namespace PgRaft.Consensus.Storage;

/// <summary>What an entry's payload is; the numbers are stored.</summary>
public enum EntryKind : byte
{
    /// <summary>A leader's first entry of its term; it carries nothing.</summary>
    Empty = 0,

    /// <summary>A command for the state machine.</summary>
    Command = 1,

    /// <summary>A configuration (the voter set).</summary>
    Configuration = 2,
}

/// <summary>One entry of the log.</summary>
/// <param name="Index">Log index, from 1.</param>
/// <param name="Term">Term it was proposed in; never less than that of the entry before.</param>
/// <param name="Kind">What the payload is.</param>
/// <param name="Payload">The bytes. Records read from the log own theirs: the memory is never
/// written again, and may be kept.</param>
public readonly record struct LogRecord(
    long Index, long Term, EntryKind Kind, ReadOnlyMemory<byte> Payload);
