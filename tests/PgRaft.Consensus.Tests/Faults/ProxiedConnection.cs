// One connection through the faulty network: reads whole frames on one side and passes them on to
// the other as the link of that direction allows.
// Threading: two pumps, one a direction; Dispose from anywhere. Failure: exceptions of the sockets
// end the connection.
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class ProxiedConnection(
    FaultyNetwork network, Socket caller, int nodeId, IPEndPoint endPoint) : IDisposable
{
    private readonly Socket _member =
        new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    // How many appends there are for one forged consent.
    private const int AppendsPerConsent = 20;

    // Without entries: term, previous index and term, commit index, count.
    private const int AppendHeaderBytes = 36;

    private int _from;
    private ChannelKind _kind;

    public bool Joins(int member) => member == nodeId || member == _from;

    public async Task RunAsync(CancellationToken token)
    {
        caller.NoDelay = _member.NoDelay = true;
        byte[] hello = await ReadFrameAsync(caller, token);
        var greeting = Hello.Read(hello.AsMemory(FrameWriter.HeaderBytes));
        _from = greeting.NodeId;
        _kind = greeting.Kind;
        var there = network.Of(_from, nodeId);
        there.Greeted(greeting.Kind, hello);
        await there.PassAsync(token);
        await _member.ConnectAsync(endPoint, token);
        await _member.SendAsync(hello, token);
        var keep = greeting.Kind == ChannelKind.Client ? (ChannelKind?)null : greeting.Kind;
        var back = network.Of(nodeId, _from);
        await await Task.WhenAny(
            PumpAsync(caller, _member, there, keep, token),
            PumpAsync(_member, caller, back, null, token));
    }

    public void Dispose()
    {
        Reset(caller);
        Reset(_member);
    }

    public static async Task<byte[]> ReadFrameAsync(Socket socket, CancellationToken token)
    {
        byte[] head = new byte[FrameWriter.HeaderBytes];
        await ReadAsync(socket, head, token);
        byte[] frame = new byte[head.Length + BinaryPrimitives.ReadInt32LittleEndian(head)];
        head.CopyTo(frame, 0);
        await ReadAsync(socket, frame.AsMemory(head.Length), token);
        return frame;
    }

    // To every other append that has entries: "I have them all".
    private static byte[]? ForgedAnswer(byte[] frame)
    {
        uint requestId = BinaryPrimitives.ReadUInt32LittleEndian(frame.AsSpan(5));
        bool isRequest = frame.Length > FrameWriter.HeaderBytes + AppendHeaderBytes;
        if ((MessageType)frame[4] != MessageType.Append || !isRequest || requestId % 2 == 0)
        {
            return null;
        }

        var body = new BodyReader(frame.AsMemory(FrameWriter.HeaderBytes));
        long term = body.Int64();
        long previousIndex = body.Int64();
        _ = body.Int64();
        _ = body.Int64();
        return new FrameWriter()
            .Int64(term).Byte((byte)HeartbeatResult.Replicated)
            .Int64(previousIndex + body.Int32())
            .Finish(MessageType.Append, requestId).ToArray();
    }

    // "You may stand for election": from whoever sent this append, who leads its term. The answer
    // goes nowhere.
    private static byte[]? ForgedConsent(byte[] frame)
    {
        uint requestId = BinaryPrimitives.ReadUInt32LittleEndian(frame.AsSpan(5));
        bool isRequest = frame.Length >= FrameWriter.HeaderBytes + AppendHeaderBytes;
        if ((MessageType)frame[4] != MessageType.Append || !isRequest
            || requestId % AppendsPerConsent != 0)
        {
            return null;
        }

        long term = new BodyReader(frame.AsMemory(FrameWriter.HeaderBytes)).Int64();
        return new FrameWriter().Int64(term).Int64(0)
            .Finish(MessageType.TimeoutNow, uint.MaxValue).ToArray();
    }

    // Unsent bytes are lost, as with a machine that is gone.
    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Closed already.
        }

        socket.Dispose();
    }

    private static async Task ReadAsync(Socket socket, Memory<byte> buffer, CancellationToken token)
    {
        while (!buffer.IsEmpty)
        {
            int read = await socket.ReceiveAsync(buffer, token);
            buffer = read > 0 ? buffer[read..] : throw new IOException("closed");
        }
    }

    private async Task PumpAsync(
        Socket from, Socket to, Link link, ChannelKind? keep, CancellationToken token)
    {
        while (true)
        {
            byte[] frame = await ReadFrameAsync(from, token);
            if (keep is { } kind)
            {
                link.Keep(kind, frame);
            }

            await link.PassAsync(token);
            if (network.ForgesAcknowledgements && ForgedAnswer(frame) is { } forged)
            {
                await from.SendAsync(forged, token);
                continue;
            }

            if (_kind != ChannelKind.Snapshot && link.Loses())
            {
                continue;
            }

            if (link.TakeBreak())
            {
                await to.SendAsync(frame.AsMemory(0, frame.Length / 2), token);
                throw new IOException("broken off in the middle of a frame");
            }

            await to.SendAsync(frame, token);
            if (network.ForgesConsent && ForgedConsent(frame) is { } consent)
            {
                await to.SendAsync(consent, token);
            }
        }
    }
}
