// Where HTTP is served, if it is. Threading: immutable. Failure: none.
namespace PgRaft.Server.Http;

/// <summary>The settings pgraft.metrics_*.</summary>
/// <param name="IsEnabled">Whether anything is served.</param>
/// <param name="Address">Host name, IP address, or "*" for every address.</param>
/// <param name="Port">TCP port.</param>
internal sealed record HttpOptions(bool IsEnabled, string Address, int Port)
{
    public static HttpOptions Off { get; } = new(false, "127.0.0.1", 9100);

    /// <summary>No setting: shorter ones are for tests.</summary>
    public HttpLimits Limits { get; init; } = HttpLimits.Default;
}
