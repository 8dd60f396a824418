// The text of the stamp file: whose a data directory is. Readable by eye, closed by a checksum over
// the lines before it. Threading: immutable. Failure: a damaged or unknown stamp is refused.
using System.Globalization;
using System.Text;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal sealed record DirectoryStamp(string ClusterId, int NodeId, Guid Incarnation)
{
    internal const int MaxBytes = 4096;

    private const string FirstLine = "pgraft data directory";
    private const string Format = "1";
    private const string ChecksumKey = "crc32c ";

    internal byte[] Encode()
    {
        string body = string.Create(
            CultureInfo.InvariantCulture,
            $"{FirstLine}\nformat {Format}\ncluster_id {ClusterId}\nnode_id {NodeId}\n");
        body += $"incarnation {Incarnation:N}\n";
        return Encoding.UTF8.GetBytes(body + ChecksumLine(body));
    }

    internal static DirectoryStamp Decode(byte[] content, string path)
    {
        string text = Encoding.UTF8.GetString(content);
        int end = text.LastIndexOf(ChecksumKey, StringComparison.Ordinal);
        if (end < 0 || text[end..] != ChecksumLine(text[..end]))
        {
            throw StorageErrors.Damaged(path, Math.Max(end, 0), "its checksum is wrong");
        }

        string[] lines = text[..end].Split('\n');
        string format = Value(lines, 1, "format ", path);
        if (format != Format)
        {
            throw new PgraftException(
                StatusCode.WrongState,
                $"data directory stamp \"{path}\" has format {format}, this version reads {Format}",
                hint: "Start the pgraft version that wrote it.");
        }

        return new DirectoryStamp(
            Value(lines, 2, "cluster_id ", path),
            int.Parse(Value(lines, 3, "node_id ", path), CultureInfo.InvariantCulture),
            Guid.ParseExact(Value(lines, 4, "incarnation ", path), "N"));
    }

    private static string Value(string[] lines, int line, string key, string path) =>
        line < lines.Length && lines[line].StartsWith(key, StringComparison.Ordinal)
            ? lines[line][key.Length..]
            : throw StorageErrors.Damaged(path, 0, $"line {line + 1} is not \"{key.Trim()}\"");

    private static string ChecksumLine(string body) => string.Create(
        CultureInfo.InvariantCulture,
        $"{ChecksumKey}{Crc32C.Of(Encoding.UTF8.GetBytes(body)):x8}\n");
}
