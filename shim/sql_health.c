/*
 * sql_health.c
 *	  Whether this member and its cluster are well, from shared memory.
 *
 * Why it is hard: whoever asks wants an answer when things are broken.  So the
 * worker is not asked: a frozen one would keep the caller waiting, and a dead
 * one would be an error.  What it last wrote counts only as far as it carries
 * its own end (lease, leader's contact, lost quorum); after that it is unknown,
 * which is not the same as no (see answers.c).
 *
 * Locking: see shmem.c; none is taken.
 *
 * On failure: none, except 55000 when the library was not preloaded.
 */
#include "pgraft.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#define HEALTH_COLUMNS 14
#define ENDPOINT_HEALTH_COLUMNS 11

PG_FUNCTION_INFO_V1(pgraft_health_check);
PG_FUNCTION_INFO_V1(pgraft_get_health);
PG_FUNCTION_INFO_V1(pgraft_get_endpoint_health);

typedef struct Health
{
	PgraftLook	look;
	bool		known;			/* whether the worker keeps its status */
	PgraftAnswers answers;
	int32		leader_id;
	int64		lag;			/* -1 = not known */
} Health;

static void
read_health(Health *health)
{
	const PgraftStatus *status = &health->look.status;
	int64		now_ns;

	pgraft_look(&health->look);
	now_ns = pgraft_now_ns();
	pgraft_answer(&health->look, now_ns, &health->answers);
	health->known = health->look.teller == PGRAFT_TOLD_BY_CORE &&
		pgraft_worker_answers(health->look.worker);
	health->leader_id = health->known ? pgraft_leader_at(status, now_ns) : 0;

	/* Who hears no leader cannot know what it misses. */
	health->lag = health->leader_id == 0 ? -1
		: Max(status->known_commit_index - status->applied_index, 0);
}

/* This member does its part, and the cluster can commit. */
static bool
is_healthy(const Health *health)
{
	int32		role = health->look.status.role;

	return health->known && health->look.worker == PGRAFT_WORKER_RUNNING &&
		(role == PGRAFT_ROLE_LEADER || role == PGRAFT_ROLE_FOLLOWER) &&
		health->answers.quorum.value == PGRAFT_ANSWER_YES;
}

static bool
is_leader(const Health *health)
{
	return health->leader_id != 0 && health->look.status.role == PGRAFT_ROLE_LEADER;
}

static const char *
json_answer(int32 answer)
{
	switch ((PgraftAnswerValue) answer)
	{
		case PGRAFT_ANSWER_NO:
			return "false";
		case PGRAFT_ANSWER_YES:
			return "true";
		case PGRAFT_ANSWER_UNKNOWN:
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

/* As to_json() has it in UTC, which is also what HTTP says. */
static void
append_since(StringInfo json, const char *name, TimestampTz since)
{
	char		text[MAXDATELEN + 1];
	int			utc = 0;

	if (since == 0)
		appendStringInfo(json, ",\"%s\":null", name);
	else
		appendStringInfo(json, ",\"%s\":\"%s\"", name,
						 JsonEncodeDateTime(text, TimestampTzGetDatum(since), TIMESTAMPTZOID,
											&utc));
}

static void
append_answers(StringInfo json, const PgraftAnswers *answers)
{
	append_since(json, "quorum_since", answers->quorum.since);
	appendStringInfo(json, ",\"may_act\":%s", json_answer(answers->may_act.value));
	append_since(json, "may_act_since", answers->may_act.since);
	append_since(json, "live_members_since", answers->live_members.since);
}

Datum
pgraft_health_check(PG_FUNCTION_ARGS)
{
	Health		health;
	StringInfoData json;
	int32		live;

	read_health(&health);
	live = health.answers.live_members.value;
	initStringInfo(&json);
	appendStringInfo(&json, "{\"healthy\":%s,\"is_leader\":%s,\"leader_id\":%d",
					 is_healthy(&health) ? "true" : "false",
					 is_leader(&health) ? "true" : "false", health.leader_id);
	append_number(&json, "term", health.known, health.look.status.term);
	appendStringInfo(&json, ",\"quorum\":%s", json_answer(health.answers.quorum.value));
	append_number(&json, "live_members", live >= 0, live);
	appendStringInfo(&json, ",\"worker\":\"%s\"", pgraft_state_name(health.look.worker));
	append_number(&json, "lag", health.lag >= 0, health.lag);
	append_answers(&json, &health.answers);
	appendStringInfoChar(&json, '}');
	PG_RETURN_TEXT_P(cstring_to_text_with_len(json.data, json.len));
}

static void
set_answer(Datum *value, bool *isnull, int32 answer)
{
	*value = BoolGetDatum(answer == PGRAFT_ANSWER_YES);
	*isnull = answer == PGRAFT_ANSWER_UNKNOWN;
}

static void
set_since(Datum *value, bool *isnull, TimestampTz since)
{
	*value = TimestampTzGetDatum(since);
	*isnull = since == 0;
}

Datum
pgraft_get_health(PG_FUNCTION_ARGS)
{
	Health		health;
	const PgraftStatus *status = &health.look.status;
	const PgraftAnswers *answers = &health.answers;
	Datum		values[HEALTH_COLUMNS];
	bool		nulls[HEALTH_COLUMNS] = {0};

	read_health(&health);
	values[0] = BoolGetDatum(is_healthy(&health));
	values[1] = BoolGetDatum(is_leader(&health));
	values[2] = Int64GetDatum((int64) health.leader_id);
	values[3] = Int64GetDatum(status->term);
	set_answer(&values[4], &nulls[4], answers->quorum.value);
	values[5] = Int32GetDatum(answers->live_members.value);
	values[6] = Int32GetDatum(status->members);
	values[7] = CStringGetTextDatum(pgraft_state_name(health.look.worker));
	values[8] = CStringGetTextDatum(pgraft_role_name(status->role));
	values[9] = Int64GetDatum(health.lag);
	set_since(&values[10], &nulls[10], answers->quorum.since);
	set_answer(&values[11], &nulls[11], answers->may_act.value);
	set_since(&values[12], &nulls[12], answers->may_act.since);
	set_since(&values[13], &nulls[13], answers->live_members.since);
	nulls[3] = nulls[6] = nulls[8] = !health.known;
	nulls[5] = answers->live_members.value < 0;
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
