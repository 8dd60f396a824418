// The same puts against etcd: clients that each send one put after the other over gRPC, to the
// leader. gRPC is spoken by hand, which takes less processor time than a client library: a put is a
// message of two fields over HTTP/2, and the clients share a few connections, as etcd's own
// benchmark does. All this still runs on the same cores as the servers, as pgbench and the backends
// do when pgraft is measured; what it took is printed.
//
// Threading: clients run on the thread pool, each with samples of its own. Failure: the first put
// that fails ends the run.
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace PgRaft.Probes;

internal static class EtcdLoad
{
    private const int Connections = 8;
    private static readonly MediaTypeHeaderValue Grpc = new("application/grpc");

    public static async Task RunAsync(int[] ports, int clients, int seconds, string file)
    {
        int port = await FindLeaderAsync(ports).ConfigureAwait(false);
        var channels = Enumerable.Range(0, Math.Min(Connections, clients))
            .Select(_ => NewChannel(port)).ToArray();
        var stopwatch = Stopwatch.StartNew();
        using var end = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        Samples[] samples = await Task.WhenAll(Enumerable.Range(0, clients).Select(
            i => Task.Run(() => PutUntilAsync(channels[i % channels.Length], i, end.Token))))
            .ConfigureAwait(false);
        double elapsed = stopwatch.Elapsed.TotalSeconds;
        foreach (Samples each in samples)
        {
            each.AppendTo(file);
        }

        double busy = Process.GetCurrentProcess().TotalProcessorTime.TotalSeconds / elapsed;
        int puts = samples.Sum(s => s.Count);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{puts / elapsed:F0} {busy:F2}"));
        Array.ForEach(channels, channel => channel.Dispose());
    }

    private static async Task<Samples> PutUntilAsync(
        HttpClient channel, int seed, CancellationToken end)
    {
        var random = new Random(seed);
        var samples = new Samples();
        byte[] value = new byte[OnePut.ValueBytes];
        Array.Fill(value, (byte)'x');
        while (!end.IsCancellationRequested)
        {
            byte[] body = PutRequest(OnePut.Key(random.Next(1, OnePut.Keys + 1)), value);
            long start = Stopwatch.GetTimestamp();
            await PutAsync(channel, body).ConfigureAwait(false);
            samples.Add(start);
        }

        return samples;
    }

    private static async Task PutAsync(HttpClient channel, byte[] body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/etcdserverpb.KV/Put")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body) { Headers = { ContentType = Grpc } },
        };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        using HttpResponseMessage response = await channel.SendAsync(request, default)
            .ConfigureAwait(false);
        await response.Content.CopyToAsync(Stream.Null).ConfigureAwait(false);
        string status = response.TrailingHeaders.TryGetValues("grpc-status", out var values)
            ? values.First()
            : "missing";
        if (status != "0")
        {
            throw new InvalidDataException($"etcd refused a put: grpc-status {status}");
        }
    }

    // A frame's flag and length, then rpc.proto's PutRequest: bytes key = 1; bytes value = 2.
    private static byte[] PutRequest(byte[] key, byte[] value)
    {
        byte[] message = [0x0A, .. Length(key), .. key, 0x12, .. Length(value), .. value];
        return [0, 0, 0, (byte)(message.Length >> 8), (byte)message.Length, .. message];
    }

    private static byte[] Length(byte[] bytes) => bytes.Length < 128
        ? [(byte)bytes.Length]
        : [(byte)(0x80 | (bytes.Length & 0x7F)), (byte)(bytes.Length >> 7)];

    private static HttpClient NewChannel(int port) => new(new SocketsHttpHandler())
    {
        BaseAddress = new Uri($"http://127.0.0.1:{port}"),
    };

    private static async Task<int> FindLeaderAsync(int[] ports)
    {
        using var http = new HttpClient();
        using var content = new StringContent("{}");
        foreach (int port in ports)
        {
            using HttpResponseMessage response = await http
                .PostAsync(new Uri($"http://127.0.0.1:{port}/v3/maintenance/status"), content)
                .ConfigureAwait(false);
            using JsonDocument status = JsonDocument.Parse(
                await response.Content.ReadAsStringAsync().ConfigureAwait(false));
            JsonElement root = status.RootElement;
            if (root.TryGetProperty("leader", out JsonElement leader)
                && leader.ValueEquals(
                    root.GetProperty("header").GetProperty("member_id").GetString()))
            {
                return port;
            }
        }

        throw new IOException("etcd has no leader");
    }
}
