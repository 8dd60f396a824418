// A browser (Debian's chromium, headless) on one page, driven by Playwright.
//
// Threading: one test, one command at a time. Failure: Playwright's exceptions, which name the
// command; an error or a warning in the page's console is a failure when the browser is closed.
using System.Collections.Concurrent;
using Microsoft.Playwright;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class Browser : IAsyncDisposable
{
    private const string Program = "/usr/bin/chromium";

    // The page asks for its data every two seconds, and shows five of them in some pictures.
    private const float ExpectLimitMs = 60_000;

    private readonly ConcurrentQueue<string> _complaints = new();
    private readonly IPlaywright _playwright;
    private readonly IBrowser _browser;

    private Browser(IPlaywright playwright, IBrowser browser, IPage page)
    {
        _playwright = playwright;
        _browser = browser;
        Page = page;
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning" && !IsLoss(message.Text))
            {
                _complaints.Enqueue(message.Text);
            }
        };
        page.PageError += (_, error) => _complaints.Enqueue(error);
        page.Request += (_, request) => Requests.Enqueue(request.Url);
    }

    public IPage Page { get; }

    /// <summary>Every address that the page has asked for.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>Whether the server that the page asks may be away: what the browser says of that
    /// is no complaint then.</summary>
    public bool MayLoseServer { get; init; }

    /// <summary>Opens a page; the script is run in it before its own.</summary>
    public static async Task<Browser> OpenAsync(
        string url, string? script = null, int width = 1200, int height = 1100,
        ColorScheme scheme = ColorScheme.Light, bool mayLoseServer = false)
    {
        Assertions.SetDefaultExpectTimeout(ExpectLimitMs);
        var playwright = await Playwright.CreateAsync();
        var browser = await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = InstalledTool.Find(Program),
            Args = ["--no-sandbox", "--disable-gpu"],
        });
        var page = await browser.NewPageAsync(new BrowserNewPageOptions
        {
            ViewportSize = new ViewportSize { Width = width, Height = height },
            ColorScheme = scheme,
        });
        var opened = new Browser(playwright, browser, page) { MayLoseServer = mayLoseServer };
        if (script is not null)
        {
            await page.AddInitScriptAsync(script);
        }

        await page.GotoAsync(url);
        return opened;
    }

    private bool IsLoss(string text) =>
        MayLoseServer && text.StartsWith("Failed to load resource", StringComparison.Ordinal);

    /// <summary>Closes the browser.</summary>
    public async ValueTask DisposeAsync()
    {
        await _browser.CloseAsync();
        _playwright.Dispose();
        Assert.Empty(_complaints);
    }
}
