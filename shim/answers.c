/*
 * answers.c
 *	  The three questions of a failover manager, from shared memory: is there a
 *	  quorum, who is alive, may this member act; and since when.
 *
 * Why it is hard: they are asked when things are broken.  A frozen worker writes
 * no longer, and a dead one never will, but what it wrote last carries its own
 * end (lease, leader's contact, lost quorum): at that moment the answer changes
 * with nobody there to say so.  The core's StatusPublisher does the same sums
 * before it writes a new status (Questions.cs, AnswerKeeper.cs); both must come
 * to the same.  While there is no core to ask, the shim has an account of its
 * own, which each change of the worker's state carries on.
 *
 * "No" to the third question is certain, as "yes" is.  What is neither is
 * unknown: between leaders another term may be won at any moment.
 *
 * Locking: see shmem.c; none is taken here.
 *
 * On failure: none.  What cannot be known is unknown, and its time 0.
 */
#include "pgraft.h"

#include "utils/timestamp.h"

#define NS_PER_US INT64CONST(1000)
#define LIVE_UNKNOWN (-1)

typedef int32 (*Question) (const PgraftStatus *status, int64 now_ns);

static const int64 epoch_difference_us =
	(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000000);

/* Unix time in microseconds, 0 = not known, the same here. */
TimestampTz
pgraft_timestamp_of_unix_us(int64 us)
{
	return us == 0 ? 0 : us - epoch_difference_us;
}

int64
pgraft_unix_us(TimestampTz time)
{
	return time == 0 ? 0 : time + epoch_difference_us;
}

/*
 * Until when the leader counts as known: to the leader while its lease holds, to
 * a follower until the leader has been silent too long.
 */
static int64
leader_end_ns(const PgraftStatus *status)
{
	return status->role == PGRAFT_ROLE_LEADER ? status->lease_deadline_ns
		: status->leader_deadline_ns;
}

/*
 * The leader's id as far as it counts as known at a time; 0 = none.
 */
int32
pgraft_leader_at(const PgraftStatus *status, int64 now_ns)
{
	return now_ns < leader_end_ns(status) ? status->leader_id : 0;
}

static bool
leads(const PgraftStatus *status, int64 now_ns)
{
	return status->role == PGRAFT_ROLE_LEADER && pgraft_leader_at(status, now_ns) != 0;
}

/*
 * A majority is known to be there by the leader's lease, or by a leader that is
 * heard; known to be missing when this node has asked everybody.
 */
static int32
ask_quorum(const PgraftStatus *status, int64 now_ns)
{
	if (!pgraft_worker_answers((PgraftWorkerState) status->state))
		return PGRAFT_ANSWER_UNKNOWN;
	if (pgraft_leader_at(status, now_ns) != 0)
		return PGRAFT_ANSWER_YES;
	return now_ns < status->no_quorum_deadline_ns ? PGRAFT_ANSWER_NO : PGRAFT_ANSWER_UNKNOWN;
}

/* Who follows asks nobody but the leader. */
static int32
ask_live_members(const PgraftStatus *status, int64 now_ns)
{
	bool		asks = pgraft_worker_answers((PgraftWorkerState) status->state) &&
		(leads(status, now_ns) || ask_quorum(status, now_ns) == PGRAFT_ANSWER_NO);

	return asks ? status->live_members : LIVE_UNKNOWN;
}

static int32
ask_may_act(const PgraftStatus *status, int64 now_ns)
{
	if (status->state == PGRAFT_WORKER_STARTING)
		return PGRAFT_ANSWER_UNKNOWN;
	if (status->state != PGRAFT_WORKER_RUNNING || status->role == PGRAFT_ROLE_WAITING ||
		status->role == PGRAFT_ROLE_PASSIVE)
		return PGRAFT_ANSWER_NO;
	if (leads(status, now_ns))
		return PGRAFT_ANSWER_YES;
	if (pgraft_leader_at(status, now_ns) != 0 || ask_quorum(status, now_ns) == PGRAFT_ANSWER_NO)
		return PGRAFT_ANSWER_NO;
	return PGRAFT_ANSWER_UNKNOWN;
}

/* The answer from an end on, if that has passed since the status was written. */
static void
pass_end(PgraftAnswer *answer, const PgraftStatus *status, Question ask, int64 end_ns, int64 now_ns)
{
	int32		after;

	if (end_ns <= status->written_ns || end_ns > now_ns)
		return;
	after = ask(status, end_ns);
	if (after != answer->value)
		answer->since =
			pgraft_timestamp_of_unix_us((end_ns + status->wall_offset_ns) / NS_PER_US);
	answer->value = after;
}

static PgraftAnswer
answer_by_status(const PgraftStatus *status, Question ask, int64 since_us, int64 now_ns)
{
	int64		leader_ns = leader_end_ns(status);
	int64		quorum_ns = status->no_quorum_deadline_ns;
	PgraftAnswer answer;

	answer.value = ask(status, status->written_ns);
	answer.since = pgraft_timestamp_of_unix_us(since_us);
	pass_end(&answer, status, ask, Min(leader_ns, quorum_ns), now_ns);
	pass_end(&answer, status, ask, Max(leader_ns, quorum_ns), now_ns);
	return answer;
}

/*
 * The answers as they are at a time, which must not be before the look.
 */
void
pgraft_answer(const PgraftLook *look, int64 now_ns, PgraftAnswers *out)
{
	const PgraftStatus *status = &look->status;

	switch (look->teller)
	{
		case PGRAFT_TOLD_BY_CORE:
			out->quorum = answer_by_status(status, ask_quorum, status->quorum_since_us, now_ns);
			out->live_members = answer_by_status(status, ask_live_members,
												 status->live_members_since_us, now_ns);
			out->may_act = answer_by_status(status, ask_may_act, status->may_act_since_us,
											now_ns);
			break;
		case PGRAFT_TOLD_BY_SHIM:
			*out = look->own;
			break;
		case PGRAFT_TOLD_BY_NOBODY:
			/* Who is gone leads no more; who is frozen might yet. */
			pgraft_answers_without_core(look->worker == PGRAFT_WORKER_STOPPED, 0, out);
			break;
	}
}

/*
 * What is to be said without a status, when the core has ended for certain or
 * may be at work.
 */
void
pgraft_answers_without_core(bool ended, TimestampTz since, PgraftAnswers *out)
{
	out->quorum = (PgraftAnswer) {PGRAFT_ANSWER_UNKNOWN, since};
	out->live_members = (PgraftAnswer) {LIVE_UNKNOWN, since};
	out->may_act = (PgraftAnswer) {ended ? PGRAFT_ANSWER_NO : PGRAFT_ANSWER_UNKNOWN, since};
}

static void
carry_on(PgraftAnswer *answer, const PgraftAnswer *before)
{
	if (answer->value == before->value)
		answer->since = before->since;
}

/*
 * The shim's account once the worker's state is another: what was the answer
 * before goes on, what was not begins now.
 */
void
pgraft_next_account(PgraftWorkerState next, PgraftAnswers *out)
{
	PgraftLook	look;
	PgraftAnswers before;

	pgraft_look(&look);
	pgraft_answer(&look, pgraft_now_ns(), &before);
	pgraft_answers_without_core(next != PGRAFT_WORKER_STARTING, GetCurrentTimestamp(), out);
	carry_on(&out->quorum, &before.quorum);
	carry_on(&out->live_members, &before.live_members);
	carry_on(&out->may_act, &before.may_act);
}
