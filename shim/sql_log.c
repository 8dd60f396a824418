/*
 * sql_log.c
 *	  Functions about the replicated log: append, wait, inspect.
 *
 * Threading: the main thread of a backend.
 *
 * On failure: an error by status_map.c.  A wait that ends without its index
 * changes nothing and is 57P03.
 */
#include "pgraft.h"

#include "utils/builtins.h"

#define LOG_STATS_COLUMNS 8
#define REPLICATION_COLUMNS 7

PG_FUNCTION_INFO_V1(pgraft_replicate_entry);
PG_FUNCTION_INFO_V1(pgraft_log_append);
PG_FUNCTION_INFO_V1(pgraft_log_commit);
PG_FUNCTION_INFO_V1(pgraft_log_apply);
PG_FUNCTION_INFO_V1(pgraft_log_get_entry);
PG_FUNCTION_INFO_V1(pgraft_log_get_stats);
PG_FUNCTION_INFO_V1(pgraft_log_get_replication_status);
PG_FUNCTION_INFO_V1(pgraft_log_sync_with_leader);

Datum
pgraft_replicate_entry(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "data");
	pgraft_request_init(&request, PGRAFT_REQ_LOG_APPEND, true, "replicate entry");
	pgraft_add_null(&request);
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	(void) pgraft_call_int64(&request);
	PG_RETURN_BOOL(true);
}

Datum
pgraft_log_append(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "term");
	pgraft_reject_null(fcinfo, 1, "data");
	pgraft_request_init(&request, PGRAFT_REQ_LOG_APPEND, true, "append entry");
	pgraft_add_int64(&request, PG_GETARG_INT64(0));
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(1));
	PG_RETURN_INT64(pgraft_call_int64(&request));
}

static Datum
wait_for_index(FunctionCallInfo fcinfo, PgraftRequestCode code, const char *action)
{
	PgraftRequest request;

	pgraft_request_init(&request, code, false, action);
	pgraft_add_int64(&request, PG_GETARG_INT64(0));
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}

Datum
pgraft_log_commit(PG_FUNCTION_ARGS)
{
	return wait_for_index(fcinfo, PGRAFT_REQ_LOG_WAIT_COMMIT, "wait for the commit index");
}

Datum
pgraft_log_apply(PG_FUNCTION_ARGS)
{
	return wait_for_index(fcinfo, PGRAFT_REQ_LOG_WAIT_APPLY, "wait for the applied index");
}

Datum
pgraft_log_get_entry(PG_FUNCTION_ARGS)
{
	PgraftRequest request;
	text	   *entry;

	pgraft_request_init(&request, PGRAFT_REQ_LOG_GET_ENTRY, false, "get log entry");
	pgraft_add_int64(&request, PG_GETARG_INT64(0));
	entry = pgraft_call_text(&request);
	if (entry == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(entry);
}

Datum
pgraft_log_get_stats(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_LOG_GET_STATS, false, "get log statistics");
	return pgraft_return_set(fcinfo, &request, LOG_STATS_COLUMNS);
}

Datum
pgraft_log_get_replication_status(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_LOG_GET_REPLICATION, false,
						"get replication status");
	return pgraft_return_set(fcinfo, &request, REPLICATION_COLUMNS);
}

Datum
pgraft_log_sync_with_leader(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_LOG_SYNC, false, "synchronize with the leader");
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}
