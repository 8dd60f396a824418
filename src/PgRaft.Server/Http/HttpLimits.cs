// How long a client may keep a connection waiting. Apart from HttpEndpoint so that a test need not
// wait as long as a client may.
// Threading: immutable. Failure: none.
namespace PgRaft.Server.Http;

/// <summary>Bounds on slow clients.</summary>
/// <param name="Head">How long a client may take to begin, how long to send a request's head, and
/// how long no answer may leave that waits for it to read.</param>
/// <param name="Idle">How long a connection may be idle after a request.</param>
/// <param name="BytesPerSecond">How fast a client must take what waits for it to read, over the
/// whole of what it was sent.</param>
internal sealed record HttpLimits(TimeSpan Head, TimeSpan Idle, int BytesPerSecond)
{
    public static HttpLimits Default { get; } =
        new(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(90), 32 * 1024);
}
