// Settings that requests read and a reload may change. Threading: any thread; each is read and
// written alone. Failure: none; the values were checked before they came here.
namespace PgRaft.Server.Requests;

internal sealed class ServerSettings(int maxValueBytes, bool debug)
{
    private int _maxValueBytes = maxValueBytes;
    private volatile bool _isDebug = debug;

    /// <summary>Largest value accepted into the log, in bytes.</summary>
    public int MaxValueBytes => Volatile.Read(ref _maxValueBytes);

    /// <summary>Whether debug records are wanted. The shim remembers what a client asked for and
    /// gives it back with the settings, so the last one to say something is right.</summary>
    public bool IsDebug
    {
        get => _isDebug;
        set => _isDebug = value;
    }

    public void Reload(int maxValueBytes, bool debug)
    {
        Volatile.Write(ref _maxValueBytes, maxValueBytes);
        _isDebug = debug;
    }
}
