/*
 * worker.c
 *	  The background worker that houses the core.
 *
 * Why it is hard: a worker that dies by a signal makes the postmaster restart
 * every backend, so whatever goes wrong must end in an orderly exit with code 1,
 * after which only the worker is started again.  The exit code is 1 after
 * SIGTERM as well: code 0 would unregister the worker for good, and a worker
 * that an operator terminates must come back.
 *
 * A failure may be permanent (a library that does not fit, a data_dir of another
 * node).  Starts that failed in a row are therefore spaced out, up to a minute;
 * a reload of the configuration tries again at once.
 *
 * Threading: this file is the worker's main thread.  It waits on its latch, on
 * the postmaster's death and on an eventfd that the core writes to; it is not on
 * the path of any request.  It calls the core with PostgreSQL's signals blocked
 * (see core_loader.c).
 *
 * On failure: the text goes to the log and to shared memory, where
 * pgraft_get_worker_state() shows ERROR until a start succeeds.
 */
#include "pgraft.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define RESTART_SECONDS 2
#define MAX_HOLD_MS 60000
#define STOP_LIMIT_MS 5000

#define NS_PER_MS INT64CONST(1000000)

static PgraftCore core;
static int	wake_fd = -1;
static uint64 epoch = 0;
static WaitEventSet *wait_set = NULL;
static uint32 wait_event = 0;

void
pgraft_register_worker(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;

	/* The member votes while PostgreSQL recovers, or is a standby. */
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "pgraft", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pgraft_worker_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pgraft cluster worker", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pgraft cluster worker", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

PGRAFT_NORETURN static void
fail(int32 status, const char *error)
{
	char		text[PGRAFT_ERROR_TEXT_BYTES];

	strlcpy(text, error, sizeof(text));
	pgraft_worker_failed(text);
	ereport(FATAL,
			(errcode(pgraft_sqlstate(status)),
			 errmsg("pgraft: [1] the cluster worker failed: %s", text),
			 errdetail("PostgreSQL goes on; this node does not take part in the cluster."),
			 errhint("Mend the cause. The worker is started again by itself, at once after a reload.")));
}

/* Waits for whatever comes first; timeout_ms -1 waits for ever. */
static void
wait_for_event(long timeout_ms)
{
	WaitEvent	event;

	(void) WaitEventSetWait(wait_set, timeout_ms, &event, 1, wait_event);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static void
open_wait_set(void)
{
	wait_event = pgraft_new_wait_event("PgraftWorkerMain");
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wake_fd < 0)
		fail(PGRAFT_INTERNAL, psprintf("cannot create an eventfd: %s", strerror(errno)));
	wait_set = pgraft_create_wait_event_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, wake_fd, NULL, NULL);
}

static long
hold_ms(uint32 failures)
{
	if (failures < 2)
		return 0;
	return failures > 5 ? MAX_HOLD_MS : Min(4000L << (failures - 2), MAX_HOLD_MS);
}

/* Whether the settings were read again between the last failure and the fork. */
static bool
reloaded_since_failure(void)
{
	return (uint64) PgReloadTime > pg_atomic_read_u64(&pgraft_shared()->failed_at);
}

/* Spaces out starts that fail again and again; the state stays ERROR. */
static void
hold_after_failures(void)
{
	int64		deadline_ns = pgraft_now_ns() +
		hold_ms(pg_atomic_read_u32(&pgraft_shared()->failures)) * NS_PER_MS;

	while (!ConfigReloadPending && !reloaded_since_failure())
	{
		int64		left_ms = (deadline_ns - pgraft_now_ns()) / NS_PER_MS;

		if (left_ms <= 0)
			return;
		if (ShutdownRequestPending)
			proc_exit(1);
		wait_for_event((long) left_ms);
	}
}

static void
fill_config(PgraftConfig *config)
{
	pgraft_fill_config(config);
	config->epoch = epoch;
	config->wake_fd = wake_fd;
	config->debug = pg_atomic_read_u32(&pgraft_shared()->debug) != 0;
}

/* What was the answer before is still, until the core has another. */
static void
hand_over_answers(PgraftConfig *config)
{
	PgraftLook	look;

	pgraft_look(&look);
	config->quorum_since_us = pgraft_unix_us(look.own.quorum.since);
	config->live_members_since_us = pgraft_unix_us(look.own.live_members.since);
	config->may_act_since_us = pgraft_unix_us(look.own.may_act.since);
}

static void
start_core(void)
{
	char		error[PGRAFT_ERROR_TEXT_BYTES];
	PgraftConfig config;
	sigset_t	old;
	int32		status = PGRAFT_ABI_MISMATCH;

	fill_config(&config);
	hand_over_answers(&config);
	pgraft_block_signals(&old);
	if (pgraft_core_load(&core, error, sizeof(error)))
	{
		status = core.start(&config, &pgraft_shared()->status);
		snprintf(error, sizeof(error), "the core library refused to start (status %d)", status);
	}
	pgraft_restore_signals(&old);
	if (status == PGRAFT_OK)
		return;

	/* The core's own words, when it got far enough to have any. */
	if (core.next_log != NULL && status != PGRAFT_ABI_MISMATCH)
		(void) pgraft_drain_log(&core);
	if (pgraft_shared()->status.error[0] != '\0')
		strlcpy(error, pgraft_shared()->status.error, sizeof(error));
	fail(status, error);
}

static void
reload(void)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "pgraft reload",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller;
	PgraftConfig config;
	sigset_t	old;
	int32		status;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	caller = MemoryContextSwitchTo(scratch);
	fill_config(&config);
	pgraft_block_signals(&old);
	status = core.reload(&config);
	pgraft_restore_signals(&old);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	if (status != PGRAFT_OK)
		ereport(WARNING,
				(errcode(pgraft_sqlstate(status)),
				 errmsg("pgraft: [3] the core did not take over the new settings (status %d)",
						status)));
}

/* Makes the eventfd wait again, before what it announced is looked at. */
static void
clear_wake_fd(void)
{
	uint64		count;

	while (read(wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* The core's state; the old one while the core is in the middle of a write. */
static PgraftWorkerState
core_state(PgraftStatus *status)
{
	static PgraftWorkerState last = PGRAFT_WORKER_STARTING;

	if (pgraft_read_status(status))
		last = (PgraftWorkerState) status->state;
	return last;
}

/*
 * The core's state, and then what it had to say until it came to that state:
 * looked at the other way round, the last records of a core that ends would be
 * lost with the worker.
 */
static PgraftWorkerState
listen_to_core(PgraftStatus *status)
{
	PgraftWorkerState state;

	clear_wake_fd();
	state = core_state(status);
	if (!pgraft_drain_log(&core))
		SetLatch(MyLatch);
	return state;
}

static void
follow_core(void)
{
	static bool started = false;
	PgraftStatus status = {0};

	switch (listen_to_core(&status))
	{
		case PGRAFT_WORKER_ERROR:
			fail(status.error_status, status.error);
		case PGRAFT_WORKER_RUNNING:
		case PGRAFT_WORKER_WAITING:
		case PGRAFT_WORKER_REMOVED:
			pg_atomic_write_u32(&pgraft_shared()->failures, 0);
			started = true;
			break;
		case PGRAFT_WORKER_STOPPED:
			if (started)
				fail(PGRAFT_INTERNAL, "the core stopped without being asked to");
			break;
		case PGRAFT_WORKER_STARTING:
			break;
	}
}

static void
serve(void)
{
	while (!ShutdownRequestPending)
	{
		if (ConfigReloadPending)
			reload();
		follow_core();
		wait_for_event(-1);
	}
}

static void
stop_core(void)
{
	int64		deadline_ns = pgraft_now_ns() + STOP_LIMIT_MS * NS_PER_MS;
	PgraftStatus status = {0};
	sigset_t	old;

	pgraft_block_signals(&old);
	(void) core.request_stop();
	pgraft_restore_signals(&old);
	for (;;)
	{
		int64		left_ms = (deadline_ns - pgraft_now_ns()) / NS_PER_MS;
		PgraftWorkerState state = listen_to_core(&status);

		if (state == PGRAFT_WORKER_ERROR)
			ereport(WARNING,
					(errmsg("pgraft: [2] the cluster worker failed while it stopped: %s",
							status.error)));
		if (state == PGRAFT_WORKER_STOPPED || state == PGRAFT_WORKER_ERROR)
			return;
		if (left_ms <= 0)
			break;
		wait_for_event((long) left_ms);
	}
	ereport(WARNING,
			(errmsg("pgraft: [4] the core did not stop within %d ms; leaving without it",
					STOP_LIMIT_MS)));
}

/*
 * on_proc_exit callback, the last thing that is done: exit() would run the
 * destructors of libraries and of thread-local variables while threads of the
 * core still use what they take apart, and a crash there restarts the server.
 */
static void
leave_at_once(int code, Datum arg)
{
	_exit(code);
}

void
pgraft_worker_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	on_proc_exit(leave_at_once, (Datum) 0);
	BackgroundWorkerUnblockSignals();

	open_wait_set();
	hold_after_failures();
	before_shmem_exit(pgraft_worker_end, (Datum) 0);
	epoch = pgraft_worker_begin();
	start_core();
	serve();
	stop_core();
	proc_exit(1);
}
