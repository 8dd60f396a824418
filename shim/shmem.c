/*
 * shmem.c
 *	  Shared memory: the core's status, and the shim's account of the worker.
 *
 * Why it is hard: the core's threads write the status while any backend reads
 * it, no lock can be shared with them, and the worker may be frozen or killed
 * in the middle of a write.  Readers therefore copy under a sequence counter
 * with a bounded number of tries, and treat what they cannot read as unknown.
 *
 * Locking: status by its sequence counter, one writer (the core); state and
 * error under the spinlock; all else atomic.  worker_pid is set last at a start
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

/* The shim's own account; error may be NULL. */
static int32
own_state(char *error)
{
	int32		state;

	SpinLockAcquire(&shared->lock);
	state = shared->state;
	if (error != NULL)
		memcpy(error, shared->error, PGRAFT_ERROR_TEXT_BYTES);
	SpinLockRelease(&shared->lock);
	return state;
}

/* Of a live worker: it has written nothing yet, or is frozen in a write. */
static PgraftWorkerState
state_without_status(PgraftShared *s, char *error)
{
	if ((__atomic_load_n(&s->status.sequence, __ATOMIC_ACQUIRE) & 1) == 0)
		return PGRAFT_WORKER_STARTING;
	if (error != NULL)
		strlcpy(error, "the worker stopped in the middle of an update of its status",
				PGRAFT_ERROR_TEXT_BYTES);
	return PGRAFT_WORKER_ERROR;
}

/*
 * State of the live worker.  error, when not NULL, gets
 * PGRAFT_ERROR_TEXT_BYTES and is meaningful for PGRAFT_WORKER_ERROR only.
 */
PgraftWorkerState
pgraft_worker_state(char *error)
{
	PgraftShared *s = pgraft_shared();
	PgraftStatus status;
	pid_t		pid;

	if (own_state(error) == PGRAFT_WORKER_ERROR)
		return PGRAFT_WORKER_ERROR;
	pid = (pid_t) pg_atomic_read_u32(&s->worker_pid);
	if (pid == 0 || (kill(pid, 0) != 0 && errno == ESRCH))
		return PGRAFT_WORKER_STOPPED;
	if (!pgraft_read_status(&status))
		return state_without_status(s, error);
	if (error != NULL)
		memcpy(error, status.error, PGRAFT_ERROR_TEXT_BYTES);
	return (PgraftWorkerState) status.state;
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
set_own_state(int32 state, const char *error)
{
	SpinLockAcquire(&shared->lock);
	shared->state = state;
	strlcpy(shared->error, error, PGRAFT_ERROR_TEXT_BYTES);
	SpinLockRelease(&shared->lock);
}

/*
 * Called by a new worker: forgets its predecessor and returns the new epoch.
 */
uint64
pgraft_worker_begin(void)
{
	uint64		epoch;

	memset(&shared->status, 0, sizeof(shared->status));
	epoch = pg_atomic_add_fetch_u64(&shared->epoch, 1);
	set_own_state(PGRAFT_WORKER_STARTING, "");
	pg_atomic_write_u32(&shared->worker_pid, (uint32) MyProcPid);
	return epoch;
}

void
pgraft_worker_failed(const char *error)
{
	pg_atomic_fetch_add_u32(&shared->failures, 1);
	pg_atomic_write_u64(&shared->failed_at, (uint64) GetCurrentTimestamp());
	set_own_state(PGRAFT_WORKER_ERROR, error);
}

/*
 * before_shmem_exit callback of the worker.  The core's threads may still write
 * the status, which nobody reads once worker_pid is 0.
 */
void
pgraft_worker_end(int code, Datum arg)
{
	pg_atomic_write_u32(&shared->worker_pid, 0);
	if (own_state(NULL) != PGRAFT_WORKER_ERROR)
		set_own_state(PGRAFT_WORKER_STOPPED, "");
}
