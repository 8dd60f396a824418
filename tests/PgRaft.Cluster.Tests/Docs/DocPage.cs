// A Markdown page of the documentation as the tests read it: its fenced blocks and its tables.
//
// The word after ```sh says who runs a block: `build` is whoever builds, in the source tree;
// `server` is a user who may run PostgreSQL, all such blocks of a page in one shell; `host` is root
// on one of several machines. A block of
// ```text that follows a command block is what that block prints; "…" in it stands for anything.
//
// Threading: immutable. Failure: a page that does not exist throws.

using System.Text.RegularExpressions;

namespace PgRaft.Cluster.Tests.Docs;

internal sealed record DocBlock(string Kind, int Line, string Text, string? Output);

internal sealed class DocPage
{
    private const string Fence = "```";

    private readonly string[] _lines;

    public DocPage(string path)
    {
        Path = path;
        _lines = File.ReadAllLines(System.IO.Path.Combine(TestRun.Top, path));
        Blocks = [.. ReadBlocks()];
    }

    public string Path { get; }

    /// <summary>Fenced blocks in order; the output of one is not a block of its own.</summary>
    public IReadOnlyList<DocBlock> Blocks { get; }

    /// <summary>
    /// Rows of all tables whose first cell is code that begins so, as their cells.
    /// </summary>
    public IReadOnlyList<string[]> Rows(string firstCell)
    {
        return [.. _lines
            .Where(line => line.StartsWith($"| `{firstCell}", StringComparison.Ordinal))
            .Select(line => line.Trim('|', ' ').Split(" | ", StringSplitOptions.TrimEntries))];
    }

    /// <summary>The text outside of fenced blocks.</summary>
    public string Prose()
    {
        var inside = false;
        return string.Join('\n', _lines.Where(line =>
        {
            var isFence = line.StartsWith(Fence, StringComparison.Ordinal);
            inside ^= isFence;
            return !inside && !isFence;
        }));
    }

    /// <summary>Its headings as links name them.</summary>
    public IEnumerable<string> Headings()
    {
        return Prose().Split('\n')
            .Where(line => line.StartsWith('#'))
            .Select(line => line.TrimStart('#', ' ').ToLowerInvariant())
            .Select(text => Regex.Replace(text, @"[^\w\- ]", "").Replace(' ', '-'));
    }

    private IEnumerable<DocBlock> ReadBlocks()
    {
        DocBlock? pending = null;
        foreach (var block in ReadFences())
        {
            if (pending is not null && IsCommand(pending) && block.Kind == "text")
            {
                yield return pending with { Output = block.Text };
                pending = null;
                continue;
            }

            if (pending is not null)
            {
                yield return pending;
            }

            pending = block;
        }

        if (pending is not null)
        {
            yield return pending;
        }
    }

    private static bool IsCommand(DocBlock block)
    {
        return block.Kind.StartsWith("sh", StringComparison.Ordinal);
    }

    private IEnumerable<DocBlock> ReadFences()
    {
        for (var i = 0; i < _lines.Length; i++)
        {
            if (!_lines[i].StartsWith(Fence, StringComparison.Ordinal))
            {
                continue;
            }

            var first = i + 1;
            var end = Array.FindIndex(
                _lines, first, line => line.StartsWith(Fence, StringComparison.Ordinal));
            Assert.True(end >= 0, $"{Path}:{first}: the block does not end");
            var text = string.Join('\n', _lines[first..end]);
            yield return new DocBlock(_lines[i][Fence.Length..].Trim(), first, text, null);
            i = end;
        }
    }
}
