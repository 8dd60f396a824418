/*
 * sql_status.c
 *	  Functions that answer from shared memory, without a round trip.
 *
 * pgraft_is_leader() and pgraft_get_leader() are called by poolers and health
 * checks all the time, and cost one clock reading more than a memory access.
 * They answer "no" and "none" whenever the truth cannot be known.  The others
 * raise an error then: a counter must not be invented.
 *
 * Locking: see shmem.c; none is taken.
 *
 * On failure: 57P03 when there is no worker to speak of, 55000 when the library
 * was not preloaded.
 */
#include "pgraft.h"

#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(pgraft_is_leader);
PG_FUNCTION_INFO_V1(pgraft_get_leader);
PG_FUNCTION_INFO_V1(pgraft_get_term);
PG_FUNCTION_INFO_V1(pgraft_get_applied_index);
PG_FUNCTION_INFO_V1(pgraft_get_worker_state);
PG_FUNCTION_INFO_V1(pgraft_get_version);
PG_FUNCTION_INFO_V1(pgraft_get_cluster_status);
PG_FUNCTION_INFO_V1(pgraft_get_queue_status);

const char *
pgraft_state_name(PgraftWorkerState state)
{
	switch (state)
	{
		case PGRAFT_WORKER_STOPPED:
			return "STOPPED";
		case PGRAFT_WORKER_STARTING:
			return "STARTING";
		case PGRAFT_WORKER_WAITING:
			return "WAITING";
		case PGRAFT_WORKER_RUNNING:
			return "RUNNING";
		case PGRAFT_WORKER_ERROR:
			return "ERROR";
		case PGRAFT_WORKER_REMOVED:
			return "REMOVED";
	}
	elog(ERROR, "pgraft: unknown worker state %d", (int) state);
}

const char *
pgraft_role_name(int32 role)
{
	switch ((PgraftRole) role)
	{
		case PGRAFT_ROLE_WAITING:
			return "waiting";
		case PGRAFT_ROLE_PASSIVE:
			return "passive";
		case PGRAFT_ROLE_FOLLOWER:
			return "follower";
		case PGRAFT_ROLE_CANDIDATE:
			return "candidate";
		case PGRAFT_ROLE_LEADER:
			return "leader";
	}
	elog(ERROR, "pgraft: unknown role %d", role);
}

static void
read_status_or_raise(PgraftStatus *status)
{
	if (!pgraft_read_status(status))
		pgraft_raise_not_running();
}

Datum
pgraft_is_leader(PG_FUNCTION_ARGS)
{
	int64		deadline_ns = pgraft_lease_deadline_ns();

	PG_RETURN_BOOL(deadline_ns != 0 && pgraft_now_ns() < deadline_ns);
}

Datum
pgraft_get_leader(PG_FUNCTION_ARGS)
{
	PgraftStatus status;

	PG_RETURN_INT64(pgraft_read_status(&status) ? pgraft_leader_at(&status, pgraft_now_ns()) : 0);
}

Datum
pgraft_get_term(PG_FUNCTION_ARGS)
{
	PgraftStatus status;

	read_status_or_raise(&status);
	PG_RETURN_INT64(status.term);
}

Datum
pgraft_get_applied_index(PG_FUNCTION_ARGS)
{
	PgraftStatus status;

	read_status_or_raise(&status);
	PG_RETURN_INT64(status.applied_index);
}

Datum
pgraft_get_worker_state(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(pgraft_state_name(pgraft_worker_state(NULL))));
}

Datum
pgraft_get_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(PGRAFT_VERSION));
}

Datum
pgraft_get_cluster_status(PG_FUNCTION_ARGS)
{
	PgraftStatus status;
	Datum		values[8];

	read_status_or_raise(&status);
	values[0] = Int32GetDatum(status.node_id);
	values[1] = Int64GetDatum(status.term);
	values[2] = Int64GetDatum((int64) pgraft_leader_at(&status, pgraft_now_ns()));
	values[3] = CStringGetTextDatum(pgraft_role_name(status.role));
	values[4] = Int32GetDatum(status.members);
	values[5] = Int64GetDatum(status.messages_processed);
	values[6] = Int64GetDatum(status.heartbeats_sent);
	values[7] = Int64GetDatum(status.elections_triggered);
	return pgraft_return_row(fcinfo, values, lengthof(values));
}

Datum
pgraft_get_queue_status(PG_FUNCTION_ARGS)
{
	PgraftStatus status;
	Datum		values[3];

	read_status_or_raise(&status);
	values[0] = Int32GetDatum(status.requests_pending);
	values[1] = Int64GetDatum(status.requests_processed);
	values[2] = BoolGetDatum(status.queue_full != 0);
	return pgraft_return_row(fcinfo, values, lengthof(values));
}
