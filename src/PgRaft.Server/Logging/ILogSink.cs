// Where log records go: out of the core, to whoever drains them into PostgreSQL's log.
// Threading: any thread, must not block. Failure: a record that does not fit is dropped and
// counted.
using Microsoft.Extensions.Logging;

namespace PgRaft.Server.Logging;

internal interface ILogSink
{
    void Write(LogLevel level, int eventId, string category, string text);
}
