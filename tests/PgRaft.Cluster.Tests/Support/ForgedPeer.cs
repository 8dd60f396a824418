// Somebody who speaks the peer protocol (docs/peer-protocol.md) and is not what he says.
//
// Threading: one test. Failure: what the server does not answer throws.

using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class ForgedPeer : IDisposable
{
    private const byte HelloType = 1;

    private readonly TcpClient _client = new();

    private ForgedPeer()
    {
    }

    /// <summary>Whether the server takes it for one of its own.</summary>
    public bool IsAccepted { get; private set; }

    /// <summary>Says hello as node 2 of a cluster and a founding.</summary>
    public static async Task<ForgedPeer> ConnectAsync(
        TestServer server, string clusterId, long founding)
    {
        var peer = new ForgedPeer();
        await peer._client.ConnectAsync(IPAddress.Loopback, server.RaftPort);
        using var hello = new MemoryStream();
        hello.Write("PGRAFTPP"u8);
        Int32(hello, 1);
        Int32(hello, 1);
        hello.WriteByte(1);
        Text(hello, clusterId);
        Int64(hello, founding);
        Int32(hello, 2);
        Int32(hello, server.NodeId);
        Int32(hello, 1000);
        Text(hello, "forged");

        // It writes the oldest data, reads any, and holds the oldest.
        foreach (var dataVersion in (int[])[1, int.MaxValue, 1])
        {
            Int32(hello, dataVersion);
        }

        await peer.SendAsync(HelloType, hello);
        peer.IsAccepted = (await peer.ReceiveAsync())[0] == 0;
        return peer;
    }

    public async Task SendAsync(byte type, MemoryStream body)
    {
        var head = new byte[9];
        BinaryPrimitives.WriteUInt32LittleEndian(head, (uint)body.Length);
        head[4] = type;
        await _client.GetStream().WriteAsync(head);
        await _client.GetStream().WriteAsync(body.ToArray());
    }

    public void Dispose() => _client.Dispose();

    public static void Text(MemoryStream stream, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Int32(stream, bytes.Length);
        stream.Write(bytes);
    }

    public static void Int32(MemoryStream stream, int number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        stream.Write(bytes);
    }

    public static void Int64(MemoryStream stream, long number)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        stream.Write(bytes);
    }

    private async Task<byte[]> ReceiveAsync()
    {
        var head = new byte[9];
        await _client.GetStream().ReadExactlyAsync(head);
        var body = new byte[BinaryPrimitives.ReadInt32LittleEndian(head)];
        await _client.GetStream().ReadExactlyAsync(body);
        return body;
    }
}
