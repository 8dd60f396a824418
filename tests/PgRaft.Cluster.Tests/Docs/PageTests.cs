// What can be told of the pages without a server: links lead somewhere, tests and messages that
// are named exist, and docs/README.md lists every page.

using System.Text.RegularExpressions;

namespace PgRaft.Cluster.Tests.Docs;

public sealed class PageTests
{
    private const int ShortestFragment = 6;

    public static TheoryData<string> Pages => [.. Directory
        .EnumerateFiles(Path.Combine(TestRun.Top, "docs"), "*.md")
        .Select(path => $"docs/{Path.GetFileName(path)}")
        .Append("README.md")];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_leads_to_a_file(string path)
    {
        var folder = Path.GetDirectoryName(Path.Combine(TestRun.Top, path))!;
        var targets = Regex.Matches(new DocPage(path).Prose(), @"\]\(([^)#]+)(#[^)]*)?\)")
            .Select(match => match.Groups[1].Value)
            .Where(target => !target.Contains("://", StringComparison.Ordinal));

        Assert.All(targets, target => Assert.True(
            Path.Exists(Path.Combine(folder, target)), $"{path}: {target} does not exist"));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_to_a_heading_leads_to_one(string path)
    {
        var folder = Path.GetDirectoryName(path)!;
        var targets = Regex.Matches(new DocPage(path).Prose(), @"\]\(([^)#:]*)#([^)]*)\)")
            .Select(match => (
                Page: match.Groups[1].Length == 0
                    ? path
                    : Path.Combine(folder, match.Groups[1].Value),
                Heading: match.Groups[2].Value));

        Assert.All(targets, target => Assert.Contains(
            target.Heading, new DocPage(target.Page).Headings()));
    }

    [Fact]
    public void The_index_lists_every_page()
    {
        var index = new DocPage("docs/README.md").Prose();

        Assert.All(
            Pages.Select(row => Path.GetFileName(row.Data)).Where(name => name != "README.md")
                .Concat(Decisions()),
            name => Assert.Contains($"({name})", index, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("docs/hosting.md")]
    [InlineData("docs/abi.md")]
    [InlineData("docs/guarantees.md")]
    public void Every_test_that_is_named_exists(string path)
    {
        var tests = Sources("tests", "*.cs", "*.sql");
        var named = Regex.Matches(new DocPage(path).Prose(), "`([A-Z][A-Za-z]*(_[A-Za-z]+){2,})`")
            .Select(match => match.Groups[1].Value)
            .Where(name => !name.StartsWith("PGRAFT_", StringComparison.Ordinal))
            .ToArray();

        Assert.NotEmpty(named);
        Assert.All(named, name => Assert.Contains($" {name}(", tests, StringComparison.Ordinal));
    }

    // A message is quoted with "…" for what varies; the rest must be in the program's text.
    [Fact]
    public void Every_message_in_the_troubleshooting_page_is_one_of_ours()
    {
        var page = new DocPage("docs/troubleshooting.md");
        var sources = Sources("shim", "*.c") + Sources("src", "*.cs");
        var joined = Regex.Replace(sources, "(?<!\\\\)\"\\s*(\\+\\s*)?\\$?\"", "")
            .Replace("\\\"", "\"", StringComparison.Ordinal);
        var fragments = page.Blocks
            .Where(block => block.Kind == "text")
            .SelectMany(block => block.Text.Split('\n'))
            .SelectMany(line => line.Split('…'))
            .Select(part => part.Replace("pgraft: ", "", StringComparison.Ordinal).Trim(' ', '-'))
            .Where(part => part.Length >= ShortestFragment)
            .ToArray();

        Assert.NotEmpty(fragments);
        Assert.All(
            fragments, part => Assert.Contains(part, joined, StringComparison.Ordinal));
    }

    private static IEnumerable<string> Decisions()
    {
        return Directory.EnumerateFiles(Path.Combine(TestRun.Top, "docs", "adr"), "*.md")
            .Select(path => $"adr/{Path.GetFileName(path)}");
    }

    private static string Sources(string folder, params string[] patterns)
    {
        return string.Join('\n', patterns
            .SelectMany(pattern => Directory.EnumerateFiles(
                Path.Combine(TestRun.Top, folder), pattern, SearchOption.AllDirectories))
            .Where(path => !path.Contains("/obj/", StringComparison.Ordinal))
            .Select(File.ReadAllText));
    }
}
