// All that the status page shows, read at one moment, by the names that a reader sees.
//
// Threading: one test. Failure: Playwright's exceptions; a field that is not there is a missing
// key.

using System.Globalization;
using System.Text.Json;
using Microsoft.Playwright;

namespace PgRaft.Cluster.Tests.Support;

internal sealed record PageView
{
    // A time is given as the page's time element has it, which is exact. "served" is what the page
    // was given last, where KeepWhatIsServed was run.
    private const string Read = """
        (() => {
          const $ = id => document.getElementById(id);
          const text = e => (e.querySelector("time")?.dateTime ?? e.textContent).trim();
          const terms = id => Object.fromEntries([...$(id).querySelectorAll("dt")]
            .map(t => [text(t), text(t.nextElementSibling)]));
          const rows = id => {
            const heads = [...$(id).closest("table").querySelectorAll("th")].map(text);
            return [...$(id).rows].map(r =>
              Object.fromEntries([...r.cells].map((c, i) => [heads[i], text(c)])));
          };
          const kinds = id => Object.fromEntries([...$(id).querySelectorAll("dt")]
            .map(t => [text(t), t.nextElementSibling.className]));
          const rowKinds = id => {
            const heads = [...$(id).closest("table").querySelectorAll("th")].map(text);
            return [...$(id).rows].map(r =>
              Object.fromEntries([...r.cells].map((c, i) => [heads[i], c.className])));
          };
          const path = id => document.querySelector(`#${id} path`).getAttribute("d");
          return JSON.stringify({
            title: document.title, name: $("name").textContent,
            verdict: $("verdict").textContent, verdictKind: $("verdict").className,
            nodeKinds: kinds("node"), memberKinds: rowKinds("members"),
            findingKinds: [...$("findings").children]
              .map(f => (f.firstElementChild ?? f).className),
            age: $("age").textContent, shownAt: $("age").querySelector("time")?.dateTime ?? "",
            isOld: document.body.className === "old",
            node: terms("node"), log: terms("log"), members: rows("members"),
            note: $("follower-note").textContent,
            history: rows("history"),
            led: [...$("led").children].map(e => [e.title, e.className, e.textContent].join("|")),
            ledWidths: [...$("led").children].map(e => e.getBoundingClientRect().width),
            ledText: $("led-text").textContent,
            findings: [...$("findings").children].map(f => f.textContent),
            rate: path("rate"), rateText: $("rate-text").textContent,
            proposed: $("proposed").textContent,
            latency: path("latency"), latencyText: $("latency-text").textContent,
            served: window.served ?? [],
          });
        })()
        """;

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    /// <summary>To be run before the page's own script: keeps what the page is served, besides
    /// handing it on.</summary>
    public const string KeepWhatIsServed = """
        window.served = [];
        const ask = window.fetch;
        window.fetch = async (...what) => {
          const answer = await ask(...what);
          window.served.push(await answer.clone().json());
          return answer;
        };
        """;

    public required string Title { get; init; }

    public required string Name { get; init; }

    public required string Verdict { get; init; }

    /// <summary>How the verdict is marked: good or bad. So are the answers and roles among the
    /// fields, and a lag or a finding as warn or bad.</summary>
    public required string VerdictKind { get; init; }

    public required Dictionary<string, string> NodeKinds { get; init; }

    public required Dictionary<string, string>[] MemberKinds { get; init; }

    public required string[] FindingKinds { get; init; }

    public required string Age { get; init; }

    /// <summary>The time of the answer that is shown; another may have been served since.</summary>
    public required string ShownAt { get; init; }

    public required bool IsOld { get; init; }

    public required Dictionary<string, string> Node { get; init; }

    public required Dictionary<string, string> Log { get; init; }

    public required Dictionary<string, string>[] Members { get; init; }

    public required string Note { get; init; }

    public required Dictionary<string, string>[] History { get; init; }

    /// <summary>The parts of the band: title, kind and what stands in it.</summary>
    public required string[] Led { get; init; }

    /// <summary>In pixels.</summary>
    public required double[] LedWidths { get; init; }

    public required string LedText { get; init; }

    public required string[] Findings { get; init; }

    public required string Rate { get; init; }

    public required string RateText { get; init; }

    public required string Proposed { get; init; }

    public required string Latency { get; init; }

    public required string LatencyText { get; init; }

    public required JsonElement[] Served { get; init; }

    /// <summary>The row of a member or of a node that is being added.</summary>
    public Dictionary<string, string> Member(int nodeId)
    {
        var id = nodeId.ToString(CultureInfo.InvariantCulture);
        return Members.Single(m => m["Node"].Split(' ')[0] == id);
    }

    /// <summary>Fields of a list or a row, by their names.</summary>
    public static string[] Fields(Dictionary<string, string> of, params string[] names)
    {
        return [.. names.Select(name => of[name])];
    }

    /// <summary>A time as the page writes it.</summary>
    public static double MillisecondsOf(string text)
    {
        var words = text.Split(' ');
        return double.Parse(words[0], CultureInfo.InvariantCulture) * (words[1] == "s" ? 1000 : 1);
    }

    public static async Task<PageView> OfAsync(IPage page)
    {
        var json = await page.EvaluateAsync<string>(Read);
        return JsonSerializer.Deserialize<PageView>(json, Options)!;
    }

    /// <summary>Waits until the page shows what is wanted; the page asks every two seconds.
    /// </summary>
    public static Task<PageView> UntilAsync(IPage page, string what, Func<PageView, bool> isRight)
    {
        return Poll.UntilAsync(
            $"the page shows {what}", () => OfAsync(page), isRight, TimeSpan.FromSeconds(40));
    }

    /// <summary>What is shown, for messages.</summary>
    public override string ToString() => JsonSerializer.Serialize(this with { Served = [] });

    /// <summary>Bytes as the page writes them.</summary>
    public static string Bytes(double bytes)
    {
        string[] units = ["B", "kB", "MB", "GB"];
        var unit = 0;
        for (; bytes >= 1000; unit++)
        {
            bytes /= 1000;
        }

        var digits = bytes.ToString(unit == 0 ? "F0" : "F1", CultureInfo.InvariantCulture);
        return $"{digits} {units[unit]}";
    }
}
