// A file that is written as the log writes its segments, and no more: full of zeros beforehand,
// then one write behind the other, each with its fdatasync. At its end it begins again.
using PgRaft.Consensus.Storage;

namespace PgRaft.Probes;

internal sealed class RawFile : IDisposable
{
    private const int FileBytes = 16 * 1024 * 1024;
    private readonly string _path;
    private readonly IStorageFile _file;
    private long _end;

    public RawFile(string directory)
    {
        _path = Path.Combine(directory, "raw");
        _file = PhysicalIo.Instance.Create(_path);
        _file.Write(0, new byte[FileBytes]);
        _file.Sync();
    }

    public static byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(1).NextBytes(bytes);
        return bytes;
    }

    public void Append(byte[] bytes)
    {
        _end = _end + bytes.Length > FileBytes ? 0 : _end;
        _file.Write(_end, bytes);
        _file.Sync();
        _end += bytes.Length;
    }

    public void Dispose()
    {
        _file.Dispose();
        File.Delete(_path);
    }
}
