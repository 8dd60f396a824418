// The file operations storage is built from, and no others, so that tests can put a disk below it
// that loses what was not synced, tears writes, fails and fills up.
// Threading: different files may be used concurrently; one file by one writer and any number of
// readers. Failure: every member throws PgraftException (IoError or DiskFull) that names the file.
namespace PgRaft.Consensus.Storage;

/// <summary>Directories and names.</summary>
internal interface IStorageIo
{
    /// <summary>Opens an existing file for reading and writing.</summary>
    IStorageFile Open(string path);

    /// <summary>Opens an existing file for reading.</summary>
    IStorageFile OpenRead(string path);

    /// <summary>Creates a file, emptying one that exists. Its name is durable only after
    /// <see cref="SyncDirectory"/>.</summary>
    IStorageFile Create(string path);

    /// <summary>Creates a file that a client named, mode 0600; whatever has the name already is
    /// an error. Its errors, those of <see cref="OpenForeign"/> and of <see cref="RenameNew"/>
    /// also say that the name is wrong or not allowed.</summary>
    IStorageFile CreateNew(string path);

    /// <summary>Opens a file that a client named for reading, without waiting for whatever it may
    /// be; only a regular file is one.</summary>
    IStorageFile OpenForeign(string path);

    /// <summary>Gives a file a name atomically; whatever has the name already is an error. Durable
    /// only after <see cref="SyncDirectory"/>.</summary>
    void RenameNew(string source, string target);

    /// <summary>Replaces <paramref name="target"/> atomically; durable only after
    /// <see cref="SyncDirectory"/>.</summary>
    void Rename(string source, string target);

    /// <summary>Removes a file; no error when there is none.</summary>
    void Delete(string path);

    /// <summary>Names of the files in a directory, in no order.</summary>
    IReadOnlyList<string> List(string directory);

    /// <summary>Whether the file exists.</summary>
    bool Exists(string path);

    /// <summary>Creates a directory with mode 0700, durably; no error when it exists.</summary>
    void CreateDirectory(string path);

    /// <summary>Makes creations, renames and deletions in the directory durable.</summary>
    void SyncDirectory(string path);
}

/// <summary>An open file.</summary>
internal interface IStorageFile : IDisposable
{
    /// <summary>The path it was opened by.</summary>
    string Path { get; }

    /// <summary>Length in bytes.</summary>
    long Length { get; }

    /// <summary>Reads; fewer bytes than asked for only at the end of the file.</summary>
    /// <exception cref="ObjectDisposedException">Disposed meanwhile.</exception>
    int Read(long offset, Span<byte> buffer);

    /// <summary>Writes all of <paramref name="data"/>, extending the file if need be.</summary>
    void Write(long offset, ReadOnlySpan<byte> data);

    /// <summary>Returns when everything written is on disk, and the length with it. When it
    /// throws, what was written since the last success is in doubt for ever: calling it again
    /// proves nothing.</summary>
    void Sync();
}
