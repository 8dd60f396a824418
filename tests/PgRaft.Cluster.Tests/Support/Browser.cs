// A browser (Debian's chromium, headless) on one page, driven over its debugging protocol: keys are
// pressed as a person does, and what the page has become is asked of it.
//
// Threading: one test, one command at a time. Failure: a command that the browser refuses throws
// with its answer; disposing ends the browser and its children.

using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class Browser : IAsyncDisposable
{
    public const string Program = "/usr/bin/chromium";

    private static readonly TimeSpan CommandLimit = TimeSpan.FromSeconds(30);
    private static readonly HttpClient Http = new();

    private readonly ClientWebSocket _socket = new();
    private readonly Process _process;
    private int _commands;

    private Browser(Process process)
    {
        _process = process;
    }

    /// <summary>Opens a page; the script is run in it before its own.</summary>
    public static async Task<Browser> OpenAsync(string url, string script)
    {
        var profile = await TestRun.NewDirectoryAsync("browser");
        var browser = new Browser(Process.Start(new ProcessStartInfo(
            Program,
            [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--remote-debugging-port=0", $"--user-data-dir={profile}", "about:blank",
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!);
        try
        {
            await browser.AttachAsync(Path.Combine(profile, "DevToolsActivePort"));
            await browser.CallAsync("Page.enable", new { });
            await browser.CallAsync(
                "Page.addScriptToEvaluateOnNewDocument", new { source = script });
            await browser.CallAsync(
                "Emulation.setFocusEmulationEnabled", new { enabled = true });
            await browser.CallAsync("Page.navigate", new { url });
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    /// <summary>The value of an expression in the page, which must be a string.</summary>
    public async Task<string> EvaluateAsync(string expression)
    {
        var answer = await CallAsync(
            "Runtime.evaluate", new { expression, returnByValue = true });
        return answer.GetProperty("result").TryGetProperty("value", out var value)
            ? value.GetString() ?? ""
            : throw new InvalidOperationException($"{expression}: {answer}");
    }

    public async Task PressTabAsync()
    {
        foreach (var type in (string[])["rawKeyDown", "keyUp"])
        {
            await CallAsync(
                "Input.dispatchKeyEvent",
                new { type, key = "Tab", code = "Tab", windowsVirtualKeyCode = 9 });
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        _socket.Dispose();
    }

    // Its first line is the port, its second the browser's own socket.
    private async Task AttachAsync(string portFile)
    {
        var port = await Poll.UntilAsync(
            "the browser's port",
            () => Task.FromResult(
                File.Exists(portFile) ? File.ReadAllLines(portFile).FirstOrDefault("") : ""),
            text => text.Length > 0);
        var targets = await Http.GetStringAsync(new Uri($"http://127.0.0.1:{port}/json/list"));
        using var json = JsonDocument.Parse(targets);
        var page = json.RootElement.EnumerateArray()
            .First(t => t.GetProperty("type").GetString() == "page");
        using var limit = new CancellationTokenSource(CommandLimit);
        await _socket.ConnectAsync(
            new Uri(page.GetProperty("webSocketDebuggerUrl").GetString()!), limit.Token);
    }

    // Events that come between are left out.
    private async Task<JsonElement> CallAsync(string method, object parameters)
    {
        using var limit = new CancellationTokenSource(CommandLimit);
        var id = ++_commands;
        await _socket.SendAsync(
            JsonSerializer.SerializeToUtf8Bytes(new { id, method, @params = parameters }),
            WebSocketMessageType.Text, endOfMessage: true, limit.Token);
        while (true)
        {
            var message = await ReceiveAsync(limit.Token);
            if (message.TryGetProperty("id", out var answered) && answered.GetInt32() == id)
            {
                return message.TryGetProperty("result", out var result)
                    ? result
                    : throw new InvalidOperationException($"{method}: {message}");
            }
        }
    }

    private async Task<JsonElement> ReceiveAsync(CancellationToken limit)
    {
        using var message = new MemoryStream();
        var buffer = new byte[64 * 1024];
        WebSocketReceiveResult part;
        do
        {
            part = await _socket.ReceiveAsync(new ArraySegment<byte>(buffer), limit);
            message.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        using var json = JsonDocument.Parse(message.ToArray());
        return json.RootElement.Clone();
    }
}
