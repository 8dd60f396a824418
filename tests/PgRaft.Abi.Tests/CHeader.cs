// The header as text and as the C compiler sees it: what the mirror is compared with.
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace PgRaft.Abi.Tests;

internal static partial class CHeader
{
    private static readonly Lazy<string[]> Lines =
        new(() => Run(Build("tests/abi/layout.c"), string.Empty).Output);

    public static string Root { get; } = FindRoot();

    public static string Text { get; } = File.ReadAllText(Path.Combine(Root, "shim/pgraft_abi.h"));

    /// <summary>Lines of the layout program: "struct NAME SIZE", "NAME.FIELD OFFSET SIZE",
    /// "CONSTANT VALUE".</summary>
    public static string[] Layout => Lines.Value;

    /// <summary>Constants of each enumeration, by the enumeration's name.</summary>
    public static ILookup<string, string> Enums { get; } = EnumPattern().Matches(Text)
        .SelectMany(e => ConstantPattern().Matches(e.Groups[1].Value)
            .Select(c => (Enum: e.Groups[2].Value, Constant: c.Groups[1].Value)))
        .ToLookup(x => x.Enum, x => x.Constant);

    /// <summary>Fields of each struct, by the struct's name.</summary>
    public static ILookup<string, string> Structs { get; } = StructPattern().Matches(Text)
        .SelectMany(s => FieldPattern().Matches(s.Groups[1].Value)
            .Select(f => (Struct: s.Groups[2].Value, Field: f.Groups[1].Value)))
        .ToLookup(x => x.Struct, x => x.Field);

    public static string ValueOf(string name) =>
        Layout.Single(l => l.StartsWith(name + " ", StringComparison.Ordinal))[(name.Length + 1)..];

    /// <summary>lease_deadline_ns and OUTCOME_UNKNOWN, as C# names them.</summary>
    public static string Pascal(string cName) => string.Concat(cName
        .Split('_')
        .Select(part => char.ToUpperInvariant(part[0]) + part[1..].ToLowerInvariant()));

    /// <summary>Compiles a C file of the tree; the program's path.</summary>
    public static string Build(string source)
    {
        string program = Path.Combine(
            AppContext.BaseDirectory, Path.GetFileNameWithoutExtension(source));
        var compiled = Run(
            "gcc",
            $"-std=gnu99 -Wall -Wextra -Werror -I{Root}/shim -o {program} {Root}/{source} -ldl");
        return compiled.ExitCode == 0
            ? program
            : throw new InvalidOperationException(string.Join('\n', compiled.Output));
    }

    public static (int ExitCode, string[] Output) Run(string program, string arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, (output + errors.Result).Split('\n'));
    }

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "shim/pgraft_abi.h")))
            directory = directory.Parent ?? throw new InvalidOperationException("no shim above");
        return directory.FullName;
    }

    [GeneratedRegex(@"typedef enum \w+\s*\{(.*?)\}\s*(\w+);", RegexOptions.Singleline)]
    private static partial Regex EnumPattern();

    [GeneratedRegex(@"typedef struct \w+\s*\{(.*?)\}\s*(\w+);", RegexOptions.Singleline)]
    private static partial Regex StructPattern();

    [GeneratedRegex(@"^\s*(PGRAFT_\w+)\s*=", RegexOptions.Multiline)]
    private static partial Regex ConstantPattern();

    [GeneratedRegex(@"^\s*(?:u?int\d+_t|const \w+|char)\s+\*?(\w+)", RegexOptions.Multiline)]
    private static partial Regex FieldPattern();
}
