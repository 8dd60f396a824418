// The page at "/": one file, made into the library, that asks /status.json every two seconds.
// Threading: read once. Failure: a library without it does not start to serve.
namespace PgRaft.Server.Http;

internal static class StatusPage
{
    private const string Resource = "PgRaft.Server.Http.status.html";

    private static readonly Lazy<HttpAnswer> Page = new(Read);

    public static HttpAnswer Answer => Page.Value;

    private static HttpAnswer Read()
    {
        using var stream = typeof(StatusPage).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"{Resource} is not in the library");
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return new HttpAnswer(HttpAnswer.Ok, "text/html; charset=utf-8", bytes.ToArray());
    }
}
