// Paths that a client gave: where a backup goes, and where one comes from. The kernel has the last
// word on each; what is refused here the kernel would not refuse, or would say it badly.
// Threading: stateless. Failure: PgraftException(BadArgument).
using System.Globalization;
using System.Text;
using PgRaft.Consensus.Storage;
using PgRaft.Core;

namespace PgRaft.Consensus.Recovery;

internal static class ClientPath
{
    // PATH_MAX without the NUL.
    private const int MaxBytes = 4095;

    internal static string Checked(string path)
    {
        if (path.Length == 0)
        {
            throw Bad("path must not be empty", null);
        }

        int bytes = Encoding.UTF8.GetByteCount(path);
        if (bytes > MaxBytes)
        {
            throw Bad(
                "path is too long",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"It has {bytes} bytes; the limit is {MaxBytes} bytes."));
        }

        if (path.Contains('\0', StringComparison.Ordinal))
        {
            throw Bad("path must not contain a NUL", null);
        }

        if (path[0] != '/')
        {
            throw Bad($"\"{path}\" is not an absolute path", null);
        }

        return path[^1] != '/' ? path : throw Bad($"\"{path}\" does not name a file", null);
    }

    // A courtesy, before the work: giving the file its name is what must fail, and does.
    internal static void RequireFree(IStorageIo io, string path)
    {
        if (io.Exists(path) || Directory.Exists(path))
        {
            throw new PgraftException(
                StatusCode.BadArgument, $"\"{path}\" exists already", null,
                "Nothing is overwritten: choose another name.");
        }

        string? directory = Path.GetDirectoryName(path);
        for (int i = 0; i < 2 && directory is not null; i++)
        {
            if (DataDirectory.IsOne(io, directory))
            {
                throw Bad($"\"{path}\" is inside a data directory of pgraft", null);
            }

            directory = Path.GetDirectoryName(directory);
        }
    }

    private static PgraftException Bad(string message, string? detail) => new(
        StatusCode.BadArgument, message, detail,
        "Give the absolute path of a file on the server's machine.");
}
