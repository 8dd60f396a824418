// The page's source: what it says to those who do not see it, or use no mouse, and whether its
// colours can be told from each other, in both themes (WCAG 2.2, 1.4.3: 4.5 for text; 1.4.11: 3 for
// lines that mean something). In a browser it is tried by the cluster tests.
using System.Globalization;
using System.Text.RegularExpressions;

using Xunit;

namespace PgRaft.Server.Tests.Http;

public partial class StatusPageSourceTests
{
    private const double TextContrast = 4.5;
    private const double LineContrast = 3;

    // Sections lie on the card, the headline and the verdict on the page itself.
    private static readonly string[] Grounds = ["bg", "card"];
    private static readonly string[] Texts = ["ink", "dim", "good", "bad", "warn"];

    [Theory]
    [InlineData("light")]
    [InlineData("dark")]
    public async Task Text_stands_out_from_what_it_lies_on(string theme)
    {
        var colours = ColoursOf(await PageAsync(), theme);

        foreach (string ground in Grounds)
        {
            Assert.All(Texts, text => Assert.True(
                Contrast(colours[text], colours[ground]) >= TextContrast,
                FormattableString.Invariant(
                    $"{text} on {ground}: {Contrast(colours[text], colours[ground]):F2}")));
            Assert.True(Contrast(colours["accent"], colours[ground]) >= LineContrast, ground);
        }
    }

    // Otherwise the test above would not be of the page.
    [Fact]
    public async Task The_page_has_no_colours_but_those()
    {
        string page = await PageAsync();
        string style = page[page.IndexOf("* {", StringComparison.Ordinal)..page.IndexOf(
            "</style>", StringComparison.Ordinal)];

        Assert.NotEmpty(TextColour().Matches(style));
        Assert.DoesNotMatch("#[0-9a-fA-F]{3,8}\\b|rgb|hsl|opacity", style);
        Assert.All(
            TextColour().Matches(style), m => Assert.Contains(m.Groups[1].Value, Texts));
        Assert.All(
            Ground().Matches(style), m => Assert.Contains(m.Groups[1].Value, Grounds));
        Assert.DoesNotMatch("style=\"[^\"]*(color|background)", page);
    }

    [Theory]
    [InlineData("#000", "#fff", 21)]
    [InlineData("#777777", "#ffffff", 4.48)]
    [InlineData("#fff", "#fff", 1)]
    public void Contrast_is_WCAGs(string one, string other, double expected)
    {
        Assert.Equal(expected, Contrast(one, other), 2);
    }

    // Tables that may be wider than the window are scrolled by keys only if they take the focus.
    [Fact]
    public async Task What_scrolls_is_reached_by_the_keyboard_and_has_a_name()
    {
        string page = await PageAsync();

        var scrolling = Scrolling().Matches(page);
        Assert.Equal(Count(page, "<table>"), scrolling.Count);
        Assert.All(scrolling, m =>
        {
            Assert.Contains(" tabindex=\"0\"", m.Value, StringComparison.Ordinal);
            Assert.Contains(" role=\"region\"", m.Value, StringComparison.Ordinal);
            Assert.Contains(" aria-labelledby=", m.Value, StringComparison.Ordinal);
        });
        Assert.Contains(".scroll:focus-visible { outline:", page, StringComparison.Ordinal);

        // Nothing takes the focus out of the order of the page, or takes it and is not shown.
        Assert.DoesNotMatch("tabindex=\"[^0]|outline: *(0|none)", page);
    }

    [Fact]
    public async Task Sections_drawings_and_columns_have_names()
    {
        string page = await PageAsync();

        Assert.All(Named().Matches(page), m => Assert.Contains(
            $" id=\"{m.Groups[1].Value}\"", page, StringComparison.Ordinal));
        Assert.All(Opening("section").Matches(page), IsNamed);
        Assert.All(Opening("svg").Matches(page), m =>
        {
            IsNamed(m);
            Assert.Contains(" role=\"img\"", m.Value, StringComparison.Ordinal);
        });
        Assert.All(Opening("th").Matches(page), m =>
            Assert.Equal("<th scope=\"col\">", m.Value));
        Assert.Equal(1, Count(page, "<h1>"));
        Assert.Contains("<html lang=\"en\">", page, StringComparison.Ordinal);
        Assert.Contains(
            "id=\"verdict\" role=\"status\" aria-live=\"polite\"", page, StringComparison.Ordinal);
    }

    private static void IsNamed(Match tag) =>
        Assert.Contains(" aria-labelledby=\"", tag.Value, StringComparison.Ordinal);

    private static async Task<string> PageAsync()
    {
        await using var host = await HttpHost.StartAsync();
        return (await host.GetAsync("/")).Body;
    }

    // The dark theme's are in the second block, and what it does not set is as in the first.
    private static Dictionary<string, string> ColoursOf(string page, string theme)
    {
        string style = page[..page.IndexOf("* {", StringComparison.Ordinal)];
        int dark = style.IndexOf("prefers-color-scheme: dark", StringComparison.Ordinal);
        var colours = Read(style[..dark]);
        if (theme == "dark")
        {
            foreach (var (name, colour) in Read(style[dark..]))
                colours[name] = colour;
        }

        return colours;
    }

    private static Dictionary<string, string> Read(string block) =>
        Property().Matches(block).ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value);

    private static double Contrast(string one, string other)
    {
        double a = Luminance(one);
        double b = Luminance(other);
        return (Math.Max(a, b) + 0.05) / (Math.Min(a, b) + 0.05);
    }

    private static double Luminance(string colour)
    {
        string digits = colour.Length == 4
            ? string.Concat(colour[1..].Select(c => $"{c}{c}"))
            : colour[1..];
        double Part(int at) => Linear(int.Parse(
            digits.AsSpan(at, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) / 255.0);
        return (0.2126 * Part(0)) + (0.7152 * Part(2)) + (0.0722 * Part(4));
    }

    private static double Linear(double part) =>
        part <= 0.04045 ? part / 12.92 : Math.Pow((part + 0.055) / 1.055, 2.4);

    private static int Count(string text, string part) =>
        text.Split(part).Length - 1;

    private static Regex Opening(string tag) => new($"<{tag}( [^>]*)?>", RegexOptions.Singleline);

    [GeneratedRegex("--([a-z]+): (#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?);")]
    private static partial Regex Property();

    [GeneratedRegex("(?<![-a-z])color: var\\(--([a-z]+)\\)")]
    private static partial Regex TextColour();

    [GeneratedRegex("background: var\\(--([a-z]+)\\)")]
    private static partial Regex Ground();

    [GeneratedRegex("<div class=\"scroll\"[^>]*>")]
    private static partial Regex Scrolling();

    [GeneratedRegex("aria-labelledby=\"([^\"]+)\"")]
    private static partial Regex Named();
}
