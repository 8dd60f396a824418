// Text across the border: NUL-terminated UTF-8, cut at a character when it does not fit.
// Threading: pure. Failure: a null pointer reads as empty text.
using System.Runtime.InteropServices;
using System.Text.Unicode;

namespace PgRaft.Native;

internal static unsafe class CText
{
    public static string Read(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? string.Empty;

    /// <summary>Fills the destination; what is left over becomes NUL, and at least one byte does.
    /// </summary>
    public static void Write(ReadOnlySpan<char> text, Span<byte> destination)
    {
        // Stops before a character that does not fit; NUL inside a text would hide its rest.
        Utf8.FromUtf16(text, destination[..^1], out _, out int written);
        destination[..written].Replace((byte)0, (byte)' ');
        destination[written..].Clear();
    }
}
