/*
 * status_map.c
 *	  PgraftStatusCode to SQLSTATE, and the errors raised from them.
 *
 * The one place that decides what a client sees for a status, so that an
 * unknown outcome (40003) can never be confused with a failure (40001).
 *
 * Threading: the main thread of a backend.
 *
 * On failure: raising errors is what it does.
 */
#include "pgraft.h"

int
pgraft_sqlstate(int32 status)
{
	switch ((PgraftStatusCode) status)
	{
		case PGRAFT_OK:
		case PGRAFT_EMPTY:
		case PGRAFT_PROGRESS:
			return ERRCODE_SUCCESSFUL_COMPLETION;
		case PGRAFT_NOT_LEADER:
		case PGRAFT_WRONG_STATE:
			return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		case PGRAFT_NO_LEADER:
		case PGRAFT_TIMED_OUT:
			return ERRCODE_CANNOT_CONNECT_NOW;
		case PGRAFT_NOT_DONE:
			return ERRCODE_T_R_SERIALIZATION_FAILURE;
		case PGRAFT_OUTCOME_UNKNOWN:
			return ERRCODE_T_R_STATEMENT_COMPLETION_UNKNOWN;
		case PGRAFT_BAD_ARGUMENT:
		case PGRAFT_NOT_FOUND:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case PGRAFT_TOO_LARGE:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case PGRAFT_NOT_ALLOWED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case PGRAFT_IO_ERROR:
			return ERRCODE_IO_ERROR;
		case PGRAFT_DISK_FULL:
			return ERRCODE_DISK_FULL;
		case PGRAFT_STOPPING:
			return ERRCODE_ADMIN_SHUTDOWN;
		case PGRAFT_BUSY:
			return ERRCODE_TOO_MANY_CONNECTIONS;
		case PGRAFT_INTERNAL:
		case PGRAFT_ABI_MISMATCH:
			break;
	}
	return ERRCODE_INTERNAL_ERROR;
}

/*
 * Raises the error for a status.  detail and hint may be NULL.
 */
void
pgraft_raise(int32 status, const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(pgraft_sqlstate(status)),
			 errmsg_internal("pgraft: %s", message),
			 detail != NULL ? errdetail_internal("%s", detail) : 0,
			 hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * Raises the error for a worker that cannot be asked, by its state.
 */
void
pgraft_raise_not_running(void)
{
	char		error[PGRAFT_ERROR_TEXT_BYTES];

	switch (pgraft_worker_state(error))
	{
		case PGRAFT_WORKER_ERROR:
			pgraft_raise(PGRAFT_NO_LEADER, "the cluster worker has failed", error,
						 "Mend the cause; the worker tries again by itself. The server log has more.");
		case PGRAFT_WORKER_STOPPED:
			pgraft_raise(PGRAFT_NO_LEADER, "the cluster worker is not running", NULL,
						 "It is restarted within seconds; see the server log if it is not.");
		case PGRAFT_WORKER_STARTING:
		case PGRAFT_WORKER_WAITING:
		case PGRAFT_WORKER_RUNNING:
		case PGRAFT_WORKER_REMOVED:
			break;
	}
	pgraft_raise(PGRAFT_NO_LEADER, "the cluster worker does not accept requests yet", NULL,
				 "It is starting; try again.");
}
