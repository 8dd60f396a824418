// The addresses of a host. Asking a name server cannot be cancelled, and takes as long as the C
// library likes, half a minute if no server answers: it goes on in a thread of its own, and whoever
// asks again meanwhile waits for the same answer.
// Threading: one caller at a time. Failure: SocketException.
using System.Net;
using PgRaft.Consensus.Engine;

namespace PgRaft.Consensus.Transport;

/// <summary>Looks one host up, as often as asked.</summary>
/// <param name="host">Host name or IP address.</param>
/// <param name="resolve">Asks for the addresses of a name; blocks.</param>
public sealed class HostLookup(string host, Func<string, IPAddress[]>? resolve = null)
{
    private readonly Func<string, IPAddress[]> _resolve = resolve ?? Dns.GetHostAddresses;
    private Task<IPAddress[]>? _running;

    /// <summary>The addresses of the host, at least one.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">It has none, or nobody
    /// knows.</exception>
    public Task<IPAddress[]> FindAsync(CancellationToken token)
    {
        if (IPAddress.TryParse(host, out var address))
        {
            return Task.FromResult<IPAddress[]>([address]);
        }

        if (_running is not { IsCompleted: false })
        {
            _running = OwnThread.RunAsync(() => _resolve(host), CancellationToken.None);
            _running.Observe();
        }

        return _running.WaitAsync(token);
    }
}
