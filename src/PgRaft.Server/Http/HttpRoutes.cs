// The paths and what they answer. Only GET and HEAD; nothing is changed by a request, nothing of
// what is stored is shown, and no answer waits for another member.
// Threading: any number of requests at once. Failure: none of its own.
using PgRaft.Server.Metrics;

namespace PgRaft.Server.Http;

internal sealed class HttpRoutes(NodeReport report, MetricsPage metrics)
{
    public HttpAnswer Answer(string method, string path) =>
        method is "GET" or "HEAD"
            ? Answer(path)
            : HttpAnswer.Text(HttpAnswer.MethodNotAllowed, "only GET and HEAD are answered\n");

    private HttpAnswer Answer(string path) => path switch
    {
        "/" => StatusPage.Answer,
        "/metrics" => new HttpAnswer(
            HttpAnswer.Ok, "text/plain; version=0.0.4; charset=utf-8", metrics.Render()),
        "/status.json" => HttpAnswer.Json(HttpAnswer.Ok, StatusJson.Of(report)),
        "/livez" => Judge(report.Take().Livez()),
        "/readyz" => Judge(report.Take().Readyz()),
        "/health" => Health(report.Take()),
        "/leader" => Judge(report.Take().Leader()),
        "/follower" => Judge(report.Take().Follower()),
        _ => HttpAnswer.Text(HttpAnswer.NotFound, "not found\n"),
    };

    private static HttpAnswer Judge(Verdict verdict) => HttpAnswer.Json(
        verdict.Holds ? HttpAnswer.Ok : HttpAnswer.Unavailable, StatusJson.Of(verdict));

    private static HttpAnswer Health(NodePicture picture) => HttpAnswer.Json(
        picture.Readyz().Holds ? HttpAnswer.Ok : HttpAnswer.Unavailable,
        StatusJson.HealthOf(picture));
}
