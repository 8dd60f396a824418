// Between Kestrel and the routes: takes the path, writes the answer.
// Threading: any number of requests at once. Failure: an exception becomes status 500 and a line in
// the log, of which LogThrottle leaves so many a minute.
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

using PgRaft.Server.Logging;

namespace PgRaft.Server.Http;

internal sealed class HttpApplication(HttpRoutes routes, ILogger logger)
    : IHttpApplication<IFeatureCollection>
{
    // Nothing from elsewhere is loaded, and nobody may put the page into a frame.
    private const string Policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'";

    public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

    public void DisposeContext(IFeatureCollection context, Exception? exception)
    {
        // There is nothing but the features, which are the server's.
    }

    public Task ProcessRequestAsync(IFeatureCollection context)
    {
        var request = context.GetRequiredFeature<IHttpRequestFeature>();
        var answer = Answer(request);
        var response = context.GetRequiredFeature<IHttpResponseFeature>();
        response.StatusCode = answer.Status;
        Add(response, "Content-Type", answer.ContentType);
        Add(response, "Cache-Control", "no-store");
        Add(response, "X-Content-Type-Options", "nosniff");
        Add(response, "Content-Security-Policy", Policy);
        if (answer.Status == HttpAnswer.MethodNotAllowed)
            Add(response, "Allow", "GET, HEAD");
        response.Headers.ContentLength = answer.Body.Length;
        return request.Method == "HEAD"
            ? Task.CompletedTask
            : context.GetRequiredFeature<IHttpResponseBodyFeature>().Writer
                .WriteAsync(answer.Body).AsTask();
    }

    private HttpAnswer Answer(IHttpRequestFeature request)
    {
        try
        {
            return routes.Answer(request.Method, request.Path);
        }
        catch (Exception e)
        {
            logger.HttpFailed(e, request.Path);
            return HttpAnswer.Text(HttpAnswer.InternalError, "internal error\n");
        }
    }

    private static void Add(IHttpResponseFeature response, string name, string value) =>
        response.Headers[name] = new StringValues(value);
}
