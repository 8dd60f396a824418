/*
 * sql_cluster.c
 *	  Functions about the cluster: founding, membership, self-test, debugging.
 *
 * Threading: the main thread of a backend.
 *
 * On failure: an error by status_map.c.  A change of membership whose answer
 * was lost has an unknown outcome, like any write.
 */
#include "pgraft.h"

#include "utils/builtins.h"
#include "utils/json.h"

#define NODE_COLUMNS 5
#define CHANGE_COLUMNS 2
#define ENDPOINT_COLUMNS 6
#define HISTORY_COLUMNS 5

#define LARGEST_GOOD_SIZE 7

PG_FUNCTION_INFO_V1(pgraft_init);
PG_FUNCTION_INFO_V1(pgraft_add_node);
PG_FUNCTION_INFO_V1(pgraft_remove_node);
PG_FUNCTION_INFO_V1(pgraft_update_node);
PG_FUNCTION_INFO_V1(pgraft_transfer_leadership);
PG_FUNCTION_INFO_V1(pgraft_get_nodes);
PG_FUNCTION_INFO_V1(pgraft_get_nodes_from_raft);
PG_FUNCTION_INFO_V1(pgraft_get_endpoint_status);
PG_FUNCTION_INFO_V1(pgraft_get_leadership_changes);
PG_FUNCTION_INFO_V1(pgraft_test);
PG_FUNCTION_INFO_V1(pgraft_set_debug);

Datum
pgraft_init(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_INIT, true, "initialize the cluster");
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}

/*
 * Sizes that cost more than they give: an even number tolerates no more
 * failures than the odd one below it, and with many every write is slower.
 */
static void
warn_of_size(int members)
{
	if (members > LARGEST_GOOD_SIZE)
		ereport(NOTICE,
				(errmsg("pgraft: the cluster has %d members, more than %d", members,
						LARGEST_GOOD_SIZE),
				 errdetail("Each write waits for %d of them.", members / 2 + 1),
				 errhint("Use 3, 5 or 7 members; put read replicas outside the cluster.")));
	if (members % 2 == 0)
		ereport(NOTICE,
				(errmsg("pgraft: the cluster has %d members, an even number", members),
				 errdetail("It tolerates the loss of %d, as %d would.",
						   (members - 1) / 2, members - 1),
				 errhint("Use an odd number, 3, 5 or 7.")));
}

/* A change of the number of members. */
static bool
change_members(PgraftRequest *request)
{
	PgraftResponse response;
	bool		isnull;
	bool		done;

	pgraft_call(request, CHANGE_COLUMNS, &response);
	done = pgraft_next_bool(&response, &isnull);
	warn_of_size(pgraft_next_int32(&response, &isnull));
	return done;
}

Datum
pgraft_add_node(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "node_id");
	pgraft_reject_null(fcinfo, 1, "address");
	pgraft_reject_null(fcinfo, 2, "port");
	pgraft_request_init(&request, PGRAFT_REQ_ADD_NODE, true, "add node");
	pgraft_add_int32(&request, PG_GETARG_INT32(0));
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(1));
	pgraft_add_int32(&request, PG_GETARG_INT32(2));
	PG_RETURN_BOOL(change_members(&request));
}

Datum
pgraft_remove_node(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "node_id");
	pgraft_request_init(&request, PGRAFT_REQ_REMOVE_NODE, true, "remove node");
	pgraft_add_int32(&request, PG_GETARG_INT32(0));
	PG_RETURN_BOOL(change_members(&request));
}

Datum
pgraft_update_node(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "node_id");
	pgraft_reject_null(fcinfo, 1, "address");
	pgraft_reject_null(fcinfo, 2, "port");
	pgraft_request_init(&request, PGRAFT_REQ_UPDATE_NODE, true, "update node");
	pgraft_add_int32(&request, PG_GETARG_INT32(0));
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(1));
	pgraft_add_int32(&request, PG_GETARG_INT32(2));
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}

/* Without a target, or with a null one, the best of the others takes over. */
Datum
pgraft_transfer_leadership(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_TRANSFER_LEADERSHIP, true, "transfer leadership");
	if (PG_ARGISNULL(0))
		pgraft_add_null(&request);
	else
		pgraft_add_int32(&request, PG_GETARG_INT32(0));
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}

Datum
pgraft_get_nodes(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_GET_NODES, false, "get the nodes");
	return pgraft_return_set(fcinfo, &request, NODE_COLUMNS);
}

static const char *
json_bool(bool value, bool isnull)
{
	if (isnull)
		return "null";
	return value ? "true" : "false";
}

static void
append_node(StringInfo json, PgraftResponse *response)
{
	bool		isnull;
	bool		flag;
	text	   *address;

	appendStringInfo(json, "{\"id\":%d,\"address\":", pgraft_next_int32(response, &isnull));
	address = pgraft_next_text(response, &isnull);
	escape_json(json, isnull ? "" : text_to_cstring(address));
	appendStringInfo(json, ",\"port\":%d", pgraft_next_int32(response, &isnull));
	flag = pgraft_next_bool(response, &isnull);
	appendStringInfo(json, ",\"leader\":%s", json_bool(flag, isnull));
	flag = pgraft_next_bool(response, &isnull);
	appendStringInfo(json, ",\"active\":%s}", json_bool(flag, isnull));
}

Datum
pgraft_get_nodes_from_raft(PG_FUNCTION_ARGS)
{
	PgraftRequest request;
	PgraftResponse response;
	StringInfoData json;

	pgraft_request_init(&request, PGRAFT_REQ_GET_NODES, false, "get the nodes");
	pgraft_call(&request, NODE_COLUMNS, &response);
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (uint32 row = 0; row < response.rows; row++)
	{
		if (row > 0)
			appendStringInfoChar(&json, ',');
		append_node(&json, &response);
	}
	appendStringInfoChar(&json, ']');
	PG_RETURN_TEXT_P(cstring_to_text_with_len(json.data, json.len));
}

Datum
pgraft_get_endpoint_status(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_ENDPOINT_STATUS, false, "get the endpoint's status");
	return pgraft_return_set(fcinfo, &request, ENDPOINT_COLUMNS);
}

Datum
pgraft_get_leadership_changes(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_HISTORY, false, "get the leadership changes");
	return pgraft_return_set(fcinfo, &request, HISTORY_COLUMNS);
}

Datum
pgraft_test(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_TEST, false, "run the self-test");
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}

Datum
pgraft_set_debug(PG_FUNCTION_ARGS)
{
	PgraftRequest request;
	bool		enabled;
	bool		result;

	pgraft_reject_null(fcinfo, 0, "enabled");
	enabled = PG_GETARG_BOOL(0);
	pgraft_request_init(&request, PGRAFT_REQ_SET_DEBUG, false, "set debugging");
	pgraft_add_bool(&request, enabled);
	result = pgraft_call_bool(&request);

	/* Kept for the worker's reloads and restarts. */
	pg_atomic_write_u32(&pgraft_shared()->debug, enabled);
	PG_RETURN_BOOL(result);
}
