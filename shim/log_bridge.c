/*
 * log_bridge.c
 *	  Moves the core's log records into the server log.
 *
 * The core must not call PostgreSQL, so it leaves records in a bounded ring and
 * wakes the main thread, which drains them here.
 *
 * A line is "pgraft: [EVENT] CATEGORY: TEXT".  The id stands in the message, not
 * in a field of its own, because that is what every format of the log has; it is
 * missing where there is none.
 *
 * Threading: the worker's main thread.
 *
 * On failure: records that did not fit the ring are counted by the core
 * (PgraftStatus.log_records_dropped).  Nothing here ends the worker.
 */
#include "pgraft.h"

#include "mb/pg_wchar.h"

/*
 * Bound on one call, so that a chatty core cannot keep the worker from stopping.
 * As many as the core keeps: what was there at the call is reported by it.
 */
#define MAX_RECORDS_PER_CALL 1024

/* "[2147483647] " and the final NUL. */
#define EVENT_BYTES 14

/*
 * An error record goes out at ERROR for whoever searches the log, but it is
 * the core's to act on: it must not unwind the worker.
 */
static void
report_error(const char *event, const PgraftLogRecord *record)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg_internal("pgraft: %s%s: %s", event, record->category, record->text)));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
	}
	PG_END_TRY();
}

static void
report(const PgraftLogRecord *record)
{
	char		event[EVENT_BYTES] = "";

	if (record->event_id > 0)
		snprintf(event, sizeof(event), "[%d] ", record->event_id);
	switch ((PgraftLogLevel) record->level)
	{
		case PGRAFT_LOG_ERROR:
			report_error(event, record);
			return;
		case PGRAFT_LOG_WARNING:
			ereport(WARNING,
					(errmsg_internal("pgraft: %s%s: %s", event, record->category, record->text)));
			return;
		case PGRAFT_LOG_DEBUG:
			/* Only there when asked for, so it must not need log_min_messages. */
			ereport(LOG,
					(errmsg_internal("pgraft: %sdebug: %s: %s", event, record->category,
									 record->text)));
			return;
		case PGRAFT_LOG_INFO:
			break;
	}
	ereport(LOG,
			(errmsg_internal("pgraft: %s%s: %s", event, record->category, record->text)));
}

/*
 * Makes a text one line of valid UTF-8.  The core sends nothing else; but part
 * of it comes from other machines, and a defect there must not let them write
 * lines of their own.
 */
static void
make_plain(char *text)
{
	unsigned char *at = (unsigned char *) text;

	while (*at != '\0')
	{
		int			length = pg_utf_mblen(at);

		if (*at < ' ' || *at == 0x7f)
			*at++ = ' ';
		else if (strnlen((char *) at, length) == (size_t) length && pg_utf8_islegal(at, length))
			at += length;
		else
			*at++ = '?';
	}
}

static bool
next_record(const PgraftCore *core, PgraftLogRecord *record)
{
	sigset_t	old;
	int32		status;

	pgraft_block_signals(&old);
	status = core->next_log(record);
	pgraft_restore_signals(&old);
	record->category[PGRAFT_LOG_CATEGORY_BYTES - 1] = '\0';
	record->text[PGRAFT_LOG_TEXT_BYTES - 1] = '\0';
	make_plain(record->category);
	make_plain(record->text);
	return status == PGRAFT_OK;
}

/*
 * Reports the waiting records.  Returns false when some may be left.
 */
bool
pgraft_drain_log(const PgraftCore *core)
{
	PgraftLogRecord record;

	for (int i = 0; i < MAX_RECORDS_PER_CALL; i++)
	{
		if (!next_record(core, &record))
			return true;
		report(&record);
	}
	return false;
}
