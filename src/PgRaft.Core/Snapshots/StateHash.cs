// A fingerprint of the replicated state: members at the same applied index must agree on it. It
// covers every version still readable, the counters and the results remembered, and nothing local;
// not even the applied index, so that entries without effect do not change it. For finding defects,
// not for security.
// Threading: any thread; linear in the state, so not on the apply path. Failure: none.
using System.Globalization;
using System.IO.Hashing;

namespace PgRaft.Core.Snapshots;

/// <summary>XxHash128 over the canonical content of a <see cref="StateImage"/>.</summary>
/// <remarks>Threading: stateless; any thread.</remarks>
public static class StateHash
{
    /// <summary>Computes the fingerprint; linear in the size of the state.</summary>
    /// <param name="image">The state.</param>
    /// <param name="token">Looked at once per 64 KB or so.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static UInt128 Compute(StateImage image, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        var sink = new HashSink(token);
        var encoder = new StateEncoder(sink);
        encoder.WriteStats(image.Kv.Stats);
        encoder.WriteKeys(image.Kv);

        // A state of the time before requests were remembered keeps its fingerprint.
        if (image.Requests is not { Count: 0, ForgottenIndex: 0 })
            encoder.WriteRequests(image.Requests);
        return sink.Hash;
    }

    /// <summary>The fingerprint as 32 lower-case hexadecimal digits.</summary>
    /// <param name="image">The state.</param>
    /// <param name="token">As for <see cref="Compute"/>.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static string ComputeHex(StateImage image, CancellationToken token = default) =>
        Compute(image, token).ToString("x32", CultureInfo.InvariantCulture);

    private sealed class HashSink(CancellationToken token) : PayloadSink
    {
        private const int CheckEveryBytes = 64 * 1024;
        private readonly XxHash128 _hash = new();
        private int _sinceCheckBytes;

        public UInt128 Hash => _hash.GetCurrentHashAsUInt128();

        public override void Write(ReadOnlySpan<byte> bytes)
        {
            _hash.Append(bytes);
            _sinceCheckBytes += bytes.Length;
            if (_sinceCheckBytes < CheckEveryBytes)
                return;
            _sinceCheckBytes = 0;
            token.ThrowIfCancellationRequested();
        }
    }
}
