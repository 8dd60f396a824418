/*
 * shmem.c
 *	  Shared memory: the core's status, and the shim's account of the worker.
 *
 * Why it is hard: the core's threads write the status while any backend reads
 * it, no lock can be shared with them, and the worker may be frozen or killed
 * in the middle of a write.  Readers therefore copy under a sequence counter
 * with a bounded number of tries, and treat what they cannot read as unknown.
 *
 * Locking: status by its sequence counter, one writer (the core); state, error
 * and answers under the spinlock; all else atomic.  worker_pid is set last at a start
 * and cleared first at an end.
 *
 * On failure: pgraft_shared() raises an error when the library was not
 * preloaded; pgraft_read_status() returns false.
 */
#include "pgraft.h"

#include <signal.h>
#include <time.h>

#include "storage/lwlock.h"
#include "utils/timestamp.h"

/* A writer is done within a microsecond unless it is descheduled or frozen. */
#define MAX_READ_TRIES 1000

static PgraftShared *shared = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

#if PGRAFT_HAS_SHMEM_REQUEST_HOOK
static shmem_request_hook_type previous_request_hook = NULL;

static void
request_shmem(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(PgraftShared)));
}
#endif

static void
startup_shmem(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("pgraft", sizeof(PgraftShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(*shared));
		pg_atomic_init_u64(&shared->epoch, 0);
		pg_atomic_init_u32(&shared->worker_pid, 0);
		pg_atomic_init_u32(&shared->failures, 0);
		pg_atomic_init_u64(&shared->failed_at, 0);
		pg_atomic_init_u32(&shared->debug, 0);
		SpinLockInit(&shared->lock);
		shared->state = PGRAFT_WORKER_STOPPED;
		pgraft_answers_without_core(true, GetCurrentTimestamp(), &shared->answers);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
pgraft_shmem_init(void)
{
#if PGRAFT_HAS_SHMEM_REQUEST_HOOK
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
#else
	RequestAddinShmemSpace(MAXALIGN(sizeof(PgraftShared)));
#endif
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

PgraftShared *
pgraft_shared(void)
{
	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pgraft: the library was not loaded at server start"),
				 errhint("Add pgraft to \"shared_preload_libraries\" and restart the server.")));
	return shared;
}

int64
pgraft_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * INT64CONST(1000000000) + now.tv_nsec;
}

/* Copies the status if no writer was at work; false to try again. */
static bool
try_copy_status(const volatile PgraftStatus *status, PgraftStatus *out)
{
	uint64		before = __atomic_load_n(&status->sequence, __ATOMIC_ACQUIRE);

	if (before & 1)
		return false;
	memcpy(out, (const void *) status, sizeof(*out));
	pg_read_barrier();
	return __atomic_load_n(&status->sequence, __ATOMIC_ACQUIRE) == before;
}

/*
 * Copies the status of the worker that runs now.  Returns false when it cannot
 * be known: no worker, none of its writes yet, or a writer that never ends.
 */
bool
pgraft_read_status(PgraftStatus *out)
{
	PgraftShared *s = pgraft_shared();
	uint64		epoch = pg_atomic_read_u64(&s->epoch);

	if (pg_atomic_read_u32(&s->worker_pid) == 0)
		return false;
	for (int i = 0; i < MAX_READ_TRIES; i++)
	{
		if (try_copy_status(&s->status, out))
		{
			out->error[PGRAFT_ERROR_TEXT_BYTES - 1] = '\0';
			return out->epoch == epoch;
		}
		pg_spin_delay();
	}
	return false;
}

/*
 * The leader lease's end, 0 when this node holds none.
 */
int64
pgraft_lease_deadline_ns(void)
{
	PgraftShared *s = pgraft_shared();

	if (pg_atomic_read_u32(&s->worker_pid) == 0)
		return 0;
	return __atomic_load_n(&s->status.lease_deadline_ns, __ATOMIC_ACQUIRE);
}

static void
look_at_account(PgraftLook *out)
{
	SpinLockAcquire(&shared->lock);
	out->worker = (PgraftWorkerState) shared->state;
	out->own = shared->answers;
	memcpy(out->error, shared->error, PGRAFT_ERROR_TEXT_BYTES);
	SpinLockRelease(&shared->lock);
}

/* Of a live worker: it has written nothing yet, or is frozen in a write. */
static void
look_without_status(PgraftLook *out)
{
	if ((__atomic_load_n(&shared->status.sequence, __ATOMIC_ACQUIRE) & 1) == 0)
	{
		out->worker = PGRAFT_WORKER_STARTING;
		return;
	}
	out->worker = PGRAFT_WORKER_ERROR;
	out->teller = PGRAFT_TOLD_BY_NOBODY;
	strlcpy(out->error, "the worker stopped in the middle of an update of its status",
			PGRAFT_ERROR_TEXT_BYTES);
}

/* Without a worker; one that did not say that it ended was killed. */
static void
look_without_worker(PgraftLook *out)
{
	if (out->worker != PGRAFT_WORKER_STOPPED)
		out->teller = PGRAFT_TOLD_BY_NOBODY;
	out->worker = PGRAFT_WORKER_STOPPED;
}

/*
 * What is to be seen of the worker now.
 */
void
pgraft_look(PgraftLook *out)
{
	PgraftShared *s = pgraft_shared();
	pid_t		pid;

	memset(out, 0, sizeof(*out));
	look_at_account(out);
	pid = (pid_t) pg_atomic_read_u32(&s->worker_pid);
	if (out->worker == PGRAFT_WORKER_ERROR)
		return;
	if (pid == 0 || (kill(pid, 0) != 0 && errno == ESRCH))
		look_without_worker(out);
	else if (!pgraft_read_status(&out->status))
		look_without_status(out);
	else
	{
		out->teller = PGRAFT_TOLD_BY_CORE;
		out->worker = (PgraftWorkerState) out->status.state;
		memcpy(out->error, out->status.error, PGRAFT_ERROR_TEXT_BYTES);
	}
}

/*
 * State of the live worker.  error, when not NULL, gets
 * PGRAFT_ERROR_TEXT_BYTES and is meaningful for PGRAFT_WORKER_ERROR only.
 */
PgraftWorkerState
pgraft_worker_state(char *error)
{
	PgraftLook	look;

	pgraft_look(&look);
	if (error != NULL)
		memcpy(error, look.error, PGRAFT_ERROR_TEXT_BYTES);
	return look.worker;
}

/*
 * Whether a worker in this state takes requests and keeps its status, be it a
 * member or not.
 */
bool
pgraft_worker_answers(PgraftWorkerState state)
{
	switch (state)
	{
		case PGRAFT_WORKER_WAITING:
		case PGRAFT_WORKER_RUNNING:
		case PGRAFT_WORKER_REMOVED:
			return true;
		case PGRAFT_WORKER_STOPPED:
		case PGRAFT_WORKER_STARTING:
		case PGRAFT_WORKER_ERROR:
			break;
	}
	return false;
}

static void
set_own_state(PgraftWorkerState state, const char *error, const PgraftAnswers *answers)
{
	SpinLockAcquire(&shared->lock);
	shared->state = state;
	shared->answers = *answers;
	strlcpy(shared->error, error, PGRAFT_ERROR_TEXT_BYTES);
	SpinLockRelease(&shared->lock);
}

/*
 * Called by a new worker: forgets its predecessor and returns the new epoch.
 */
uint64
pgraft_worker_begin(void)
{
	PgraftAnswers answers;
	uint64		epoch;

	pgraft_next_account(PGRAFT_WORKER_STARTING, &answers);
	memset(&shared->status, 0, sizeof(shared->status));
	epoch = pg_atomic_add_fetch_u64(&shared->epoch, 1);
	set_own_state(PGRAFT_WORKER_STARTING, "", &answers);
	pg_atomic_write_u32(&shared->worker_pid, (uint32) MyProcPid);
	return epoch;
}

void
pgraft_worker_failed(const char *error)
{
	PgraftAnswers answers;

	pg_atomic_fetch_add_u32(&shared->failures, 1);
	pg_atomic_write_u64(&shared->failed_at, (uint64) GetCurrentTimestamp());
	pgraft_next_account(PGRAFT_WORKER_ERROR, &answers);
	set_own_state(PGRAFT_WORKER_ERROR, error, &answers);
}

/*
 * before_shmem_exit callback of the worker.  The core's threads may still write
 * the status, which nobody reads once worker_pid is 0.
 */
void
pgraft_worker_end(int code, Datum arg)
{
	PgraftAnswers answers;
	PgraftLook	look;

	pgraft_next_account(PGRAFT_WORKER_STOPPED, &answers);
	pg_atomic_write_u32(&shared->worker_pid, 0);
	look_at_account(&look);
	if (look.worker != PGRAFT_WORKER_ERROR)
		set_own_state(PGRAFT_WORKER_STOPPED, "", &answers);
}
