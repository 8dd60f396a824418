// Names of what a command can be and of the ways decoding can fail. The numbers of CommandType are
// stored in logs: never change or reuse one. Threading: constants. Failure: none.
namespace PgRaft.Core.Commands;

/// <summary>The second byte of an encoded command.</summary>
public enum CommandType
{
    /// <summary>Not a command; the value of a default <see cref="Command"/>.</summary>
    None = 0,

    /// <summary>Bytes that the log keeps and the state ignores.</summary>
    Opaque = 1,

    /// <summary>Sets a key.</summary>
    KvPut = 2,

    /// <summary>Deletes a key.</summary>
    KvDelete = 3,

    /// <summary>Drops history before a revision.</summary>
    KvCompact = 4,

    /// <summary>Sets a key if its modification revision is the expected one.</summary>
    KvCas = 5,
}

/// <summary>Why bytes are, or are not, a command.</summary>
public enum CommandDecodeStatus
{
    /// <summary>They are.</summary>
    Ok = 0,

    /// <summary>The header or a field is cut short, or there are no bytes.</summary>
    Truncated = 1,

    /// <summary>The first byte is no known format version.</summary>
    UnknownVersion = 2,

    /// <summary>The second byte is no known type.</summary>
    UnknownType = 3,

    /// <summary>Bytes follow the last field.</summary>
    TrailingBytes = 4,

    /// <summary>The key is shorter or longer than <see cref="Limits"/> allows.</summary>
    BadKeyLength = 5,

    /// <summary>The value is longer than <see cref="Limits.UpperMaxValueBytes"/>.</summary>
    ValueTooLarge = 6,

    /// <summary>A number is outside its range.</summary>
    OutOfRange = 7,
}
