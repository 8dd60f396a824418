// A text as one bounded line. Parts of it come from whoever can reach a port: with a line break
// they would write lines of their own into the server's log, and with a control character act on
// the terminal it is read at.
// Threading: pure. Failure: none; what is no character becomes U+FFFD.
using System.Globalization;
using System.Text;

namespace PgRaft.Server.Logging;

internal static class LogText
{
    /// <summary>Longest result, in UTF-8. It leaves room in a log record for what
    /// <see cref="SinkLoggerFactory"/> says after it of records that were left out.</summary>
    public const int MaxBytes = 960;

    private const string Cut = "…";
    private const int CutBytes = 3;

    /// <summary>The text without line breaks, control characters and marks that reorder a line;
    /// each run of them, with the blanks after it, is a blank. When it is cut, "…" ends it.
    /// </summary>
    public static string OneLine(string text) =>
        text.Length <= MaxBytes && !text.AsSpan().ContainsAnyExceptInRange(' ', '~')
            ? text
            : Rewritten(text);

    private static string Rewritten(string text)
    {
        var line = new StringBuilder();
        int bytes = 0;
        int kept = 0;
        bool isAfterBreak = false;
        foreach (var rune in text.EnumerateRunes())
        {
            if (!IsPlain(rune) || (isAfterBreak && rune.Value == ' '))
            {
                isAfterBreak = true;
                continue;
            }

            string added = isAfterBreak && line.Length > 0 && line[^1] != ' '
                ? $" {rune}"
                : rune.ToString();
            isAfterBreak = false;
            bytes += Encoding.UTF8.GetByteCount(added);
            if (bytes > MaxBytes)
                return $"{line.ToString(0, kept)}{Cut}";
            line.Append(added);
            if (bytes <= MaxBytes - CutBytes)
                kept = line.Length;
        }

        return line.ToString();
    }

    private static bool IsPlain(Rune rune) => Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
}
