// What the network alone takes for one put: a message with as many bytes as an append of one entry,
// and its answer, between two threads over a TCP connection on loopback. Blocking calls: the least
// that sending, waking the other side and being woken can take.
using System.Net;
using System.Net.Sockets;

namespace PgRaft.Probes;

internal static class EchoProbe
{
    // docs/peer-protocol.md: a frame's header; term, previous index and term, commit index, count,
    // and for the entry term, kind and length; term, result and index in the answer.
    private const int HeaderBytes = 9;
    private const int AppendBytes = HeaderBytes + (4 * 8) + 4 + 8 + 1 + 4;
    private const int AnswerBytes = HeaderBytes + 8 + 1 + 8;

    public static void Run(int rounds, string file)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var server = new Thread(() => Answer(listener)) { IsBackground = true };
        server.Start();
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.Connect(listener.LocalEndpoint);
        byte[] request = new byte[AppendBytes + OnePut.CommandBytes];
        byte[] answer = new byte[AnswerBytes];
        var times = new Samples();
        for (int i = 0; i < rounds; i++)
        {
            times.Time(() =>
            {
                client.Send(request);
                Receive(client, answer);
            });
        }

        times.AppendTo(file);
    }

    private static void Answer(TcpListener listener)
    {
        using Socket socket = listener.AcceptSocket();
        socket.NoDelay = true;
        byte[] request = new byte[AppendBytes + OnePut.CommandBytes];
        byte[] answer = new byte[AnswerBytes];
        while (Receive(socket, request))
        {
            socket.Send(answer);
        }
    }

    // False at the end of the connection.
    private static bool Receive(Socket socket, byte[] buffer)
    {
        int filled = 0;
        while (filled < buffer.Length)
        {
            int read = socket.Receive(buffer, filled, buffer.Length - filled, SocketFlags.None);
            if (read == 0)
            {
                return false;
            }

            filled += read;
        }

        return true;
    }
}
