/*
 * told_core.c
 *	  A core library that publishes the status a file names.
 *
 * What the shim makes of a status is a matter of the moment at which it looks: so
 * the status here is one that was written a second ago, with ends before and
 * after now.  At each reload the file "told" in data_dir is read: a number, which
 * becomes the term, and a status as in tests/abi/answers.txt, with 0 for "-".
 * "now", in Unix microseconds, goes to "told_at".  The state "torn" leaves the
 * core in the middle of a write.
 *
 * Threading: the worker's main thread.
 *
 * On failure: nothing is published, and the test times out.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "handshake.h"

#define NS_PER_MS 1000000LL
#define WRITTEN_AGO_NS (1000 * NS_PER_MS)

/* Since when the answers were what they were then: microseconds, and all three differ. */
#define QUORUM_SINCE_US 1700000000000001LL
#define LIVE_MEMBERS_SINCE_US 1700000000000002LL
#define MAY_ACT_SINCE_US 1700000000000003LL

int32_t		pgraft_core_start(const PgraftConfig *config, PgraftStatus *status);
int32_t		pgraft_core_reload(const PgraftConfig *config);
int32_t		pgraft_core_request_stop(void);
int32_t		pgraft_core_next_log(PgraftLogRecord *out);

static const char *const states[] = {"stopped", "starting", "waiting", "running", "error",
	"removed"};
static const char *const roles[] = {"waiting", "passive", "follower", "candidate", "leader"};
static PgraftStatus *shared_status;
static int	wake_fd;

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

static int
find(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
	{
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

static void
begin_write(void)
{
	__atomic_store_n(&shared_status->sequence, shared_status->sequence | 1, __ATOMIC_SEQ_CST);
}

static void
end_write(void)
{
	uint64_t	one = 1;

	__atomic_add_fetch(&shared_status->sequence, 1, __ATOMIC_SEQ_CST);
	if (write(wake_fd, &one, sizeof(one)) != (ssize_t) sizeof(one))
		_exit(1);
}

static int64_t
end_of(int64_t now_ns, int64_t ms)
{
	return ms == 0 ? 0 : now_ns + ms * NS_PER_MS;
}

static void
tell_now(int64_t now_ns)
{
	int64_t		offset_ns = clock_ns(CLOCK_REALTIME) - now_ns;
	FILE	   *file = fopen("told_at.new", "w");

	shared_status->written_ns = now_ns - WRITTEN_AGO_NS;
	shared_status->wall_offset_ns = offset_ns;
	if (file == NULL)
		return;
	fprintf(file, "%lld", (long long) ((now_ns + offset_ns) / 1000));
	fclose(file);
	rename("told_at.new", "told_at");
}

static void
tell(FILE *told)
{
	char		state[16];
	char		role[16];
	long long	term;
	long long	leader_ms;
	long long	quorum_ms;
	int			leader;
	int			live;
	int64_t		now_ns = clock_ns(CLOCK_MONOTONIC);

	if (fscanf(told, "%lld %15s %15s %d %lld %lld %d", &term, state, role, &leader, &leader_ms,
			   &quorum_ms, &live) != 7)
		return;
	begin_write();
	if (strcmp(state, "torn") == 0)
		return;
	tell_now(now_ns);
	shared_status->term = term;
	shared_status->state = find(states, 6, state);
	shared_status->role = find(roles, 5, role);
	shared_status->leader_id = leader;
	shared_status->live_members = live;
	shared_status->lease_deadline_ns = shared_status->role == PGRAFT_ROLE_LEADER ?
		end_of(now_ns, leader_ms) : 0;
	shared_status->leader_deadline_ns = shared_status->role == PGRAFT_ROLE_LEADER ?
		0 : end_of(now_ns, leader_ms);
	shared_status->no_quorum_deadline_ns = end_of(now_ns, quorum_ms);
	shared_status->quorum_since_us = QUORUM_SINCE_US;
	shared_status->live_members_since_us = LIVE_MEMBERS_SINCE_US;
	shared_status->may_act_since_us = MAY_ACT_SINCE_US;
	end_write();
}

int32_t
pgraft_core_start(const PgraftConfig *config, PgraftStatus *status)
{
	shared_status = status;
	wake_fd = config->wake_fd;
	mkdir(config->data_dir, 0700);
	begin_write();
	status->epoch = config->epoch;
	status->state = PGRAFT_WORKER_STARTING;
	status->quorum_since_us = config->quorum_since_us;
	status->live_members_since_us = config->live_members_since_us;
	status->may_act_since_us = config->may_act_since_us;
	end_write();
	return PGRAFT_OK;
}

int32_t
pgraft_core_reload(const PgraftConfig *config)
{
	FILE	   *told;

	if (chdir(config->data_dir) != 0 || (told = fopen("told", "r")) == NULL)
		return PGRAFT_OK;
	tell(told);
	fclose(told);
	return chdir("..") == 0 ? PGRAFT_OK : PGRAFT_INTERNAL;
}

int32_t
pgraft_core_request_stop(void)
{
	begin_write();
	shared_status->state = PGRAFT_WORKER_STOPPED;
	end_write();
	return PGRAFT_OK;
}

int32_t
pgraft_core_next_log(PgraftLogRecord *out)
{
	memset(out, 0, sizeof(*out));
	return PGRAFT_EMPTY;
}
