// Two scrapes of one node, and what has changed between them.
// Threading: one test. Failure: a sample that is not there throws.
using System.Diagnostics;
using System.Globalization;

using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Cluster;
using PgRaft.Server.Tests.Fakes;
using PgRaft.Server.Tests.Http;

using Xunit;

namespace PgRaft.Server.Tests.Metrics;

internal sealed class Scrape
{
    private readonly Func<Task<Exposition>> _read;
    private readonly long _began = Stopwatch.GetTimestamp();

    private Scrape(Func<Task<Exposition>> read, Exposition before)
    {
        _read = read;
        Before = before;
        After = before;
    }

    public Exposition Before { get; }

    public Exposition After { get; private set; }

    /// <summary>Seconds from before the first scrape to after the second one: the longest that
    /// anything between them can have taken.</summary>
    public double Seconds { get; private set; }

    public static Task<Scrape> BeginAsync(HostCluster cluster, int id) =>
        BeginAsync(() => OfAsync(cluster, id));

    public static async Task<Scrape> BeginAsync(Func<Task<Exposition>> read) =>
        new(read, await read());

    public static async Task<Exposition> OfAsync(HostCluster cluster, int id) =>
        Exposition.Parse((await HttpHost.GetAsync(cluster.HttpPort(id), "/metrics")).Body);

    public static async Task<Exposition> OfAsync(HttpHost host) =>
        Exposition.Parse((await host.GetAsync("/metrics")).Body);

    public async Task EndAsync()
    {
        After = await _read();
        Seconds = Stopwatch.GetElapsedTime(_began).TotalSeconds;
    }

    /// <summary>How much a sample has grown.</summary>
    public double Of(string sample) => After[sample] - Before.Samples.GetValueOrDefault(sample);

    /// <summary>A histogram has taken so many, none shorter than a time that is a bound of its
    /// buckets, and altogether not longer than the test.</summary>
    public void TookAtLeast(string histogram, int count, double seconds, string labels = "")
    {
        string bound = seconds.ToString(CultureInfo.InvariantCulture);
        string open = labels.Length == 0 ? "{" : labels[..^1] + ",";
        Assert.Equal(count, Of($"{histogram}_count{labels}"));
        Assert.Equal(count, Of($"{histogram}_bucket{open}le=\"+Inf\"}}"));
        Assert.Equal(0, Of($"{histogram}_bucket{open}le=\"{bound}\"}}"));
        Assert.InRange(Of($"{histogram}_sum{labels}"), count * seconds, Seconds);
    }

    public static string Peer(string metric, int node) => string.Create(
        CultureInfo.InvariantCulture, $"pgraft_peer_{metric}{{peer=\"{node}\"}}");

    public static async Task OkAsync(
        TestClient client, RequestCode code, params object?[] values)
    {
        var answer = await client.CallAsync(code, values);
        Assert.True(answer.Status == StatusCode.Ok, answer.Summary);
    }

    public static async Task PutAsync(HostCluster cluster, int id, int count, int bytes = 5)
    {
        using var client = cluster.Connect(id);
        for (int i = 0; i < count; i++)
            await OkAsync(client, RequestCode.KvPut, "key", new string('v', bytes), 0L);
    }
}
