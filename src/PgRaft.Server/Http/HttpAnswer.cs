// What a path answers. Threading: immutable. Failure: none.
using System.Text;

namespace PgRaft.Server.Http;

internal sealed record HttpAnswer(int Status, string ContentType, ReadOnlyMemory<byte> Body)
{
    public const int Ok = 200;
    public const int NotFound = 404;
    public const int MethodNotAllowed = 405;
    public const int InternalError = 500;
    public const int Unavailable = 503;

    public static HttpAnswer Text(int status, string text) =>
        new(status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));

    public static HttpAnswer Json(int status, ReadOnlyMemory<byte> json) =>
        new(status, "application/json", json);
}
