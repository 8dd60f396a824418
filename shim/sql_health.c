/*
 * sql_health.c
 *	  Whether this member and its cluster are well, from shared memory.
 *
 * Why it is hard: whoever asks wants an answer when things are broken.  So the
 * worker is not asked: a frozen one would keep the caller waiting, and a dead
 * one would be an error.  What it last wrote counts only as far as it carries
 * its own end (lease, leader's contact, lost quorum); after that it is unknown,
 * which is not the same as no.
 *
 * Locking: see shmem.c; none is taken.
 *
 * On failure: none, except 55000 when the library was not preloaded.
 */
#include "pgraft.h"

#include "utils/builtins.h"

#define HEALTH_COLUMNS 10
#define ENDPOINT_HEALTH_COLUMNS 10

PG_FUNCTION_INFO_V1(pgraft_health_check);
PG_FUNCTION_INFO_V1(pgraft_get_health);
PG_FUNCTION_INFO_V1(pgraft_get_endpoint_health);

typedef enum Answer
{
	ANSWER_NO,
	ANSWER_YES,
	ANSWER_UNKNOWN
} Answer;

typedef struct Health
{
	PgraftWorkerState worker;
	bool		known;			/* whether the rest of this is */
	PgraftStatus status;
	int32		leader_id;
	Answer		quorum;
	int32		live_members;	/* -1 = not known */
	int64		lag;			/* -1 = not known */
} Health;

/*
 * A majority is known to be there by the leader's lease, or by a leader that is
 * heard; known to be missing when this node has asked everybody.
 */
static Answer
quorum_of(const PgraftStatus *status, int32 leader_id)
{
	if (leader_id != 0)
		return ANSWER_YES;
	return pgraft_now_ns() < status->no_quorum_deadline_ns ? ANSWER_NO : ANSWER_UNKNOWN;
}

static void
judge(Health *health)
{
	PgraftStatus *status = &health->status;
	bool		leads;

	health->leader_id = pgraft_known_leader(status);
	health->quorum = quorum_of(status, health->leader_id);
	leads = health->leader_id != 0 && status->role == PGRAFT_ROLE_LEADER;

	/* Who follows asks nobody but the leader. */
	if (leads || health->quorum == ANSWER_NO)
		health->live_members = status->live_members;

	/* Who hears no leader cannot know what it misses. */
	if (health->leader_id != 0)
		health->lag = Max(status->known_commit_index - status->applied_index, 0);
}

static void
read_health(Health *health)
{
	memset(health, 0, sizeof(*health));
	health->quorum = ANSWER_UNKNOWN;
	health->live_members = -1;
	health->lag = -1;
	health->worker = pgraft_worker_state(NULL);
	health->known = pgraft_worker_answers(health->worker) &&
		pgraft_read_status(&health->status);
	if (health->known)
		judge(health);
}

/* This member does its part, and the cluster can commit. */
static bool
is_healthy(const Health *health)
{
	return health->known && health->worker == PGRAFT_WORKER_RUNNING &&
		(health->status.role == PGRAFT_ROLE_LEADER ||
		 health->status.role == PGRAFT_ROLE_FOLLOWER) &&
		health->quorum == ANSWER_YES;
}

static bool
is_leader(const Health *health)
{
	return health->known && health->status.role == PGRAFT_ROLE_LEADER && health->leader_id != 0;
}

static const char *
json_answer(Answer answer)
{
	switch (answer)
	{
		case ANSWER_NO:
			return "false";
		case ANSWER_YES:
			return "true";
		case ANSWER_UNKNOWN:
			break;
	}
	return "\"unknown\"";
}

static void
append_number(StringInfo json, const char *name, bool known, int64 number)
{
	if (known)
		appendStringInfo(json, ",\"%s\":" INT64_FORMAT, name, number);
	else
		appendStringInfo(json, ",\"%s\":null", name);
}

Datum
pgraft_health_check(PG_FUNCTION_ARGS)
{
	Health		health;
	StringInfoData json;

	read_health(&health);
	initStringInfo(&json);
	appendStringInfo(&json, "{\"healthy\":%s,\"is_leader\":%s,\"leader_id\":%d",
					 is_healthy(&health) ? "true" : "false",
					 is_leader(&health) ? "true" : "false", health.leader_id);
	append_number(&json, "term", health.known, health.status.term);
	appendStringInfo(&json, ",\"quorum\":%s", json_answer(health.quorum));
	append_number(&json, "live_members", health.live_members >= 0, health.live_members);
	appendStringInfo(&json, ",\"worker\":\"%s\"", pgraft_state_name(health.worker));
	append_number(&json, "lag", health.lag >= 0, health.lag);
	appendStringInfoChar(&json, '}');
	PG_RETURN_TEXT_P(cstring_to_text_with_len(json.data, json.len));
}

Datum
pgraft_get_health(PG_FUNCTION_ARGS)
{
	Health		health;
	Datum		values[HEALTH_COLUMNS];
	bool		nulls[HEALTH_COLUMNS] = {0};

	read_health(&health);
	values[0] = BoolGetDatum(is_healthy(&health));
	values[1] = BoolGetDatum(is_leader(&health));
	values[2] = Int64GetDatum((int64) health.leader_id);
	values[3] = Int64GetDatum(health.status.term);
	values[4] = BoolGetDatum(health.quorum == ANSWER_YES);
	values[5] = Int32GetDatum(health.live_members);
	values[6] = Int32GetDatum(health.status.members);
	values[7] = CStringGetTextDatum(pgraft_state_name(health.worker));
	values[8] = CStringGetTextDatum(pgraft_role_name(health.status.role));
	values[9] = Int64GetDatum(health.lag);
	nulls[3] = nulls[6] = nulls[8] = !health.known;
	nulls[4] = health.quorum == ANSWER_UNKNOWN;
	nulls[5] = health.live_members < 0;
	nulls[9] = health.lag < 0;
	return pgraft_return_nullable_row(fcinfo, values, nulls, HEALTH_COLUMNS);
}

/*
 * Each member as this one has heard it: the one function here that asks the
 * worker, and fails without it.
 */
Datum
pgraft_get_endpoint_health(PG_FUNCTION_ARGS)
{
	PgraftRequest request;

	pgraft_request_init(&request, PGRAFT_REQ_HEALTH, false, "get the members' health");
	return pgraft_return_set(fcinfo, &request, ENDPOINT_HEALTH_COLUMNS);
}
