// What a backend is doing.
// Threading: no state. Failure: Poll's.
namespace PgRaft.Cluster.Tests.Support;

internal static class Backends
{
    /// <summary>Returns once the backend waits for the core's answer.</summary>
    public static Task WaitsForCoreAsync(TestServer server, int backend) => Poll.UntilAsync(
        "the backend waits for the core",
        () => server.ScalarAsync<string>(
            "SELECT coalesce(wait_event_type, '') FROM pg_stat_activity WHERE pid = $1", backend),
        type => type == "Extension");
}
