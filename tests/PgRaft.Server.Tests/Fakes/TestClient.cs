// The client's side of the request protocol, written from docs/protocol.md and nothing else, so
// that the server's codec is not checked against itself. Every wait has a deadline.
using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

using PgRaft.Core;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Tests.Fakes;

internal sealed class TestClient : IDisposable
{
    private const int DeadlineMs = 20_000;
    private readonly Socket _socket = new(
        AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
    {
        ReceiveTimeout = DeadlineMs,
        SendTimeout = DeadlineMs,
    };

    private uint _lastId;

    public TestClient(string path) => _socket.Connect(new UnixDomainSocketEndPoint(path));

    public static byte[] Frame(int code, uint id, int timeoutMs, params object?[] values)
    {
        var body = new MemoryStream();
        foreach (object? value in values)
            WriteValue(body, value);
        var frame = new byte[20 + body.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)(16 + body.Length));
        BinaryPrimitives.WriteUInt16LittleEndian(frame.AsSpan(4), (ushort)code);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(8), id);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(12), (uint)timeoutMs);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(16), (uint)values.Length);
        body.ToArray().CopyTo(frame, 20);
        return frame;
    }

    public Task<Answer> CallAsync(RequestCode code, params object?[] values) =>
        CallWithinAsync(code, 10_000, values);

    /// <summary>The answer, which words on how far it is may come ahead of.</summary>
    public Task<Answer> CallWithinAsync(RequestCode code, int timeoutMs, params object?[] values) =>
        Task.Run(() =>
        {
            uint id = Send(code, timeoutMs, values);
            Answer answer;
            do
            {
                answer = Receive();
                Xunit.Assert.Equal(id, answer.RequestId);
            }
            while (answer.Status == StatusCode.Progress);
            return answer;
        });

    public uint Send(RequestCode code, int timeoutMs, params object?[] values)
    {
        SendRaw(Frame((int)code, ++_lastId, timeoutMs, values));
        return _lastId;
    }

    public void SendRaw(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[_socket.Send(bytes)..];
    }

    public Answer Receive()
    {
        var length = new byte[4];
        ReceiveExactly(length);
        var body = new byte[BinaryPrimitives.ReadUInt32LittleEndian(length)];
        ReceiveExactly(body);
        return Answer.Parse(body);
    }

    /// <summary>True once the server has closed the connection.</summary>
    public bool IsClosedByServer()
    {
        try
        {
            return _socket.Receive(new byte[1]) == 0;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.ConnectionReset;
        }
    }

    public void Dispose() => _socket.Dispose();

    private void ReceiveExactly(Span<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int count = _socket.Receive(bytes);
            if (count == 0)
                throw new EndOfStreamException();
            bytes = bytes[count..];
        }
    }

    private static void WriteValue(MemoryStream body, object? value)
    {
        switch (value)
        {
            case null:
                body.WriteByte(0);
                break;
            case bool b:
                body.Write([1, b ? (byte)1 : (byte)0]);
                break;
            case int i:
                body.WriteByte(2);
                body.Write(BitConverter.GetBytes(i));
                break;
            case long l:
                body.WriteByte(3);
                body.Write(BitConverter.GetBytes(l));
                break;
            case byte[] bytes:
                WriteText(body, bytes);
                break;
            default:
                WriteText(body, Encoding.UTF8.GetBytes((string)value));
                break;
        }
    }

    private static void WriteText(MemoryStream body, byte[] utf8)
    {
        body.WriteByte(4);
        body.Write(BitConverter.GetBytes((uint)utf8.Length));
        body.Write(utf8);
    }
}

internal sealed record Answer(StatusCode Status, uint RequestId, object?[][] Rows)
{
    public object? Value => Assert.Single(Assert.Single(Rows));

    public string? Message => Text(0);

    public string? Detail => Text(1);

    public string? Hint => Text(2);

    /// <summary>What a failed assertion should show.</summary>
    public string Summary => $"{Status}: {string.Join(" | ", Rows.SelectMany(r => r))}";

    public static Answer Parse(ReadOnlySpan<byte> body)
    {
        int columns = BinaryPrimitives.ReadInt32LittleEndian(body[8..]);
        int count = BinaryPrimitives.ReadInt32LittleEndian(body[12..]);
        var rest = body[16..];
        var rows = new object?[count][];
        for (int row = 0; row < count; row++)
        {
            rows[row] = new object?[columns];
            for (int column = 0; column < columns; column++)
                rows[row][column] = ReadValue(ref rest);
        }

        Xunit.Assert.True(rest.IsEmpty);
        return new Answer(
            (StatusCode)BinaryPrimitives.ReadInt32LittleEndian(body),
            BinaryPrimitives.ReadUInt32LittleEndian(body[4..]),
            rows);
    }

    private string? Text(int column) =>
        Rows.Length > 0 && column < Rows[0].Length ? Rows[0][column] as string : null;

    private static object? ReadValue(ref ReadOnlySpan<byte> rest)
    {
        byte tag = rest[0];
        rest = rest[1..];
        int size = tag switch
        {
            0 => 0,
            1 => 1,
            2 => 4,
            3 => 8,
            _ => 4 + BitConverter.ToInt32(rest),
        };
        var payload = rest[..size];
        rest = rest[size..];
        return tag switch
        {
            0 => null,
            1 => payload[0] == 1,
            2 => BitConverter.ToInt32(payload),
            3 => BitConverter.ToInt64(payload),
            4 => Encoding.UTF8.GetString(payload[4..]),
            _ => throw new InvalidDataException($"tag {tag}"),
        };
    }

    private static class Assert
    {
        public static T Single<T>(T[] items) => Xunit.Assert.Single(items);
    }
}
