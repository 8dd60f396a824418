// HTTP of a server that is yet to start.
// Threading: the test's. Failure: none.

using System.Globalization;

namespace PgRaft.Cluster.Tests.Support;

internal static class HttpPort
{
    /// <summary>Makes a server serve HTTP from its start, at a free port of loopback.</summary>
    /// <returns>The port.</returns>
    public static int Open(TestServer server)
    {
        var port = Ports.Next();
        server.Settings["pgraft.metrics_enabled"] = "on";
        server.Settings["pgraft.metrics_port"] = port.ToString(CultureInfo.InvariantCulture);
        return port;
    }
}
