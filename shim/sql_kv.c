/*
 * sql_kv.c
 *	  Functions of the key-value store.
 *
 * Threading: the main thread of a backend.
 *
 * On failure: an error by status_map.c; true is returned for a put only once it
 * is committed and applied.
 */
#include "pgraft.h"

#include "utils/builtins.h"

#define KV_STATS_COLUMNS 9

PG_FUNCTION_INFO_V1(pgraft_kv_put);
PG_FUNCTION_INFO_V1(pgraft_kv_get);
PG_FUNCTION_INFO_V1(pgraft_kv_delete);
PG_FUNCTION_INFO_V1(pgraft_kv_exists);
PG_FUNCTION_INFO_V1(pgraft_kv_cas);
PG_FUNCTION_INFO_V1(pgraft_kv_list_keys);
PG_FUNCTION_INFO_V1(pgraft_kv_get_stats);

Datum
pgraft_kv_put(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "key");
	pgraft_reject_null(fcinfo, 1, "value");
	pgraft_reject_null(fcinfo, 2, "lease_id");
	pgraft_request_init(&request, PGRAFT_REQ_KV_PUT, true, "put key");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(1));
	pgraft_add_int64(&request, PG_GETARG_INT64(2));
	(void) pgraft_call_int64(&request);
	PG_RETURN_BOOL(true);
}

static bool
is_linearizable(const char *consistency)
{
	if (strcmp(consistency, "linearizable") == 0)
		return true;
	if (strcmp(consistency, "local") == 0)
		return false;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("pgraft: unknown consistency \"%s\"", consistency),
			 errhint("Use 'linearizable', or 'local' for this node's applied state.")));
}

Datum
pgraft_kv_get(PG_FUNCTION_ARGS)
{
	bool		linearizable = is_linearizable(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PgraftRequest request;
	text	   *value;

	pgraft_request_init(&request, PGRAFT_REQ_KV_GET, false, "get key");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	pgraft_add_bool(&request, linearizable);
	value = pgraft_call_text(&request);
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(value);
}

Datum
pgraft_kv_delete(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "key");
	pgraft_request_init(&request, PGRAFT_REQ_KV_DELETE, true, "delete key");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}

Datum
pgraft_kv_cas(PG_FUNCTION_ARGS)
{
	PgraftRequest request;
	int64		revision;

	pgraft_reject_null(fcinfo, 0, "key");
	pgraft_reject_null(fcinfo, 1, "expected_mod_revision");
	pgraft_reject_null(fcinfo, 2, "value");
	pgraft_request_init(&request, PGRAFT_REQ_KV_CAS, true, "compare and set key");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	pgraft_add_int64(&request, PG_GETARG_INT64(1));
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(2));
	if (!pgraft_call_nullable_int64(&request, &revision))
		PG_RETURN_NULL();
	PG_RETURN_INT64(revision);
}

Datum
pgraft_kv_exists(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_KV_EXISTS, false, "look up key");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}

Datum
pgraft_kv_list_keys(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_KV_LIST_KEYS, false, "list keys");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	return pgraft_return_set(fcinfo, &request, 1);
}

Datum
pgraft_kv_get_stats(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_KV_GET_STATS, false, "get statistics");
	return pgraft_return_set(fcinfo, &request, KV_STATS_COLUMNS);
}
