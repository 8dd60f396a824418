// Hands out TCP ports that nobody listens on, from below the kernel's range of ephemeral ports:
// one from that range could be taken by an outgoing connection before the server binds it.
//
// Threading: the set of ports given out is guarded by its lock; no port is given out twice in a
// run.

using System.Net;
using System.Net.Sockets;

namespace PgRaft.Harness;

internal static class Ports
{
    private const int Lowest = 12000;
    private const int Highest = 32000;

    private static readonly HashSet<int> Given = [];

    public static int Next()
    {
        lock (Given)
        {
            while (true)
            {
                var port = Random.Shared.Next(Lowest, Highest);
                if (IsFree(port) && Given.Add(port))
                {
                    return port;
                }
            }
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
