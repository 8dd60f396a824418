// Writes an image of the state as a snapshot while applying goes on. SnapshotFormat gives the
// layout. The caller makes the file durable (temporary name, flush, rename).
// Threading: any thread; the image is immutable. Failure: what the stream throws; what was written
// by then is recognised as incomplete.
namespace PgRaft.Core.Snapshots;

/// <summary>Serialises a <see cref="StateImage"/>.</summary>
/// <remarks>Threading: stateless; one thread per stream.</remarks>
public static class SnapshotWriter
{
    /// <summary>Writes a complete snapshot, in the image's own data version; neither flushes nor
    /// closes the stream.</summary>
    /// <param name="stream">Written forwards only, in pieces of at most 64 KB and a few bytes; its
    /// own buffering is not needed.</param>
    /// <param name="image">What to write.</param>
    /// <param name="token">Looked at before each piece.</param>
    /// <returns>Bytes written.</returns>
    /// <exception cref="IOException">From the stream.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static long Write(Stream stream, StateImage image, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(image);
        var writer = new BlockWriter(stream, image.DataVersion, token);
        var encoder = new StateEncoder(writer);
        writer.WriteByte(SnapshotFormat.MetaSection);
        writer.WriteInt64(image.AppliedIndex);
        writer.WriteInt64(image.AppliedTerm);
        encoder.WriteStats(image.Kv.Stats);
        writer.WriteByte(SnapshotFormat.KvSection);
        encoder.WriteKeys(image.Kv);
        writer.WriteByte(SnapshotFormat.RequestSection);
        encoder.WriteRequests(image.Requests);
        writer.WriteByte(SnapshotFormat.EndSection);
        writer.Complete();
        return writer.WrittenBytes;
    }
}
