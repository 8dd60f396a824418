/*
 * sql_recovery.c
 *	  Functions about what outlives a member: snapshots, backups, restoring one,
 *	  and going on alone after the majority is lost.
 *
 * The core reads and writes the files, as the user that the server runs as.  So
 * whoever names one must also be allowed what COPY asks for, by PostgreSQL's own
 * roles, besides EXECUTE on the function.
 *
 * Threading: the main thread of a backend.
 *
 * On failure: an error by status_map.c.  If the answer of a call that writes is
 * lost, its outcome is unknown: the file may be there, the cluster may have
 * begun again.
 */
#include "pgraft.h"

#include "catalog/pg_authid.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define BACKUP_INFO_COLUMNS 9
#define RECOVERY_COLUMNS 3
#define US_PER_MS INT64CONST(1000)

PG_FUNCTION_INFO_V1(pgraft_snapshot);
PG_FUNCTION_INFO_V1(pgraft_backup);
PG_FUNCTION_INFO_V1(pgraft_backup_info);
PG_FUNCTION_INFO_V1(pgraft_restore);
PG_FUNCTION_INFO_V1(pgraft_recover_cluster);

/* As COPY to and from a file of the server. */
static void
require_role(Oid role, const char *name, const char *what)
{
	if (!has_privs_of_role(GetUserId(), role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("pgraft: must be superuser or have privileges of the %s role to %s",
						name, what)));
}

static void
require_writer(void)
{
	require_role(ROLE_PG_WRITE_SERVER_FILES, "pg_write_server_files", "write a backup");
}

static void
require_reader(void)
{
	require_role(ROLE_PG_READ_SERVER_FILES, "pg_read_server_files", "read a backup");
}

/* Nothing is lost with the answer: asked again, it finds the snapshot. */
Datum
pgraft_snapshot(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_SNAPSHOT, false, "take a snapshot");
	PG_RETURN_INT64(pgraft_call_int64(&request));
}

Datum
pgraft_backup(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "path");
	require_writer();
	pgraft_request_init(&request, PGRAFT_REQ_BACKUP, true, "write a backup");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	PG_RETURN_INT64(pgraft_call_int64(&request));
}

/* No value here is ever null; from a defective core it must not become one. */
static void
expect_row(PgraftResponse *response)
{
	if (response->rows != 1)
	{
		pgraft_disconnect();
		pgraft_raise(PGRAFT_INTERNAL, "the cluster worker's answer is not a single row",
					 NULL, NULL);
	}
}

static Datum
next_text_datum(PgraftResponse *response)
{
	bool		isnull;
	text	   *value = pgraft_next_text(response, &isnull);

	return PointerGetDatum(isnull ? cstring_to_text("") : value);
}

Datum
pgraft_backup_info(PG_FUNCTION_ARGS)
{
	PgraftRequest request;
	PgraftResponse response;
	Datum		values[BACKUP_INFO_COLUMNS];
	int64		taken_at_us;
	bool		isnull;

	require_reader();
	pgraft_request_init(&request, PGRAFT_REQ_BACKUP_INFO, false, "read a backup");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	pgraft_call(&request, BACKUP_INFO_COLUMNS, &response);
	expect_row(&response);
	values[0] = next_text_datum(&response);
	values[1] = Int64GetDatum(pgraft_next_int64(&response, &isnull));
	values[2] = Int64GetDatum(pgraft_next_int64(&response, &isnull));
	values[3] = Int64GetDatum(pgraft_next_int64(&response, &isnull));
	values[4] = next_text_datum(&response);
	taken_at_us = pgraft_next_int64(&response, &isnull) * US_PER_MS;
	values[5] = TimestampTzGetDatum(pgraft_timestamp_of_unix_us(taken_at_us));
	values[6] = Int32GetDatum(pgraft_next_int32(&response, &isnull));
	values[7] = next_text_datum(&response);
	values[8] = Int64GetDatum(pgraft_next_int64(&response, &isnull));
	return pgraft_return_row(fcinfo, values, BACKUP_INFO_COLUMNS);
}

Datum
pgraft_restore(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_reject_null(fcinfo, 0, "path");
	require_reader();
	pgraft_request_init(&request, PGRAFT_REQ_RESTORE, true, "restore a backup");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	PG_RETURN_BOOL(pgraft_call_bool(&request));
}

Datum
pgraft_recover_cluster(PG_FUNCTION_ARGS)
{
	PgraftRequest request;
	PgraftResponse response;
	bool		isnull;
	bool		result;
	int64		commit_index;
	int64		last_index;

	pgraft_reject_null(fcinfo, 0, "confirm");
	pgraft_request_init(&request, PGRAFT_REQ_RECOVER_CLUSTER, true, "recover the cluster");
	pgraft_add_text(&request, PG_GETARG_TEXT_PP(0));
	pgraft_call(&request, RECOVERY_COLUMNS, &response);
	expect_row(&response);
	result = pgraft_next_bool(&response, &isnull);
	commit_index = pgraft_next_int64(&response, &isnull);
	last_index = pgraft_next_int64(&response, &isnull);
	ereport(WARNING,
			(errmsg("pgraft: what was acknowledged beyond log index " INT64_FORMAT " is lost",
					last_index),
			 errdetail("This node goes on alone with all that its log holds, of which it knew index "
					   INT64_FORMAT " to be committed.", commit_index),
			 errhint("Delete the data directories of the lost members before anything starts on "
					 "them, then add new members with pgraft_add_node().")));
	PG_RETURN_BOOL(result);
}
