/*
 * core_loader.c
 *	  Loads pgraft_core.so into the worker and makes sure that it fits.
 *
 * Why it is hard: calling through a missing or differently laid out entry point
 * is a crash, and a worker that dies by a signal takes every backend with it.
 * So all entry points are looked up, and all sizes compared, before the core is
 * asked to do anything.  The library is never unloaded: its runtime cannot be.
 *
 * Threading: the worker's main thread.  The core's runtime starts threads,
 * which inherit the signal mask; every call into the core runs with
 * PostgreSQL's signals blocked, so that a handler can never run on one of them.
 *
 * On failure: false, with a text that says what does not fit.
 */
#include "pgraft.h"

#include <dlfcn.h>

#define CORE_LIBRARY "pgraft_core.so"

/*
 * Blocks the signals that PostgreSQL handles and no other: the runtime suspends
 * its threads with a realtime signal and needs SIGSEGV and SIGFPE.
 */
void
pgraft_block_signals(sigset_t *old)
{
	static const int signals[] = {
		SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGPIPE, SIGURG
	};
	sigset_t	mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < lengthof(signals); i++)
		sigaddset(&mask, signals[i]);
	pthread_sigmask(SIG_SETMASK, &mask, old);
}

void
pgraft_restore_signals(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

static bool
find_entry_points(void *library, PgraftCore *core, char *error, size_t error_bytes)
{
	const struct
	{
		const char *name;
		void	  **address;
	}			entries[] = {
		{PGRAFT_CORE_HANDSHAKE, (void **) &core->handshake},
		{PGRAFT_CORE_START, (void **) &core->start},
		{PGRAFT_CORE_RELOAD, (void **) &core->reload},
		{PGRAFT_CORE_REQUEST_STOP, (void **) &core->request_stop},
		{PGRAFT_CORE_NEXT_LOG, (void **) &core->next_log},
	};

	for (size_t i = 0; i < lengthof(entries); i++)
	{
		*entries[i].address = dlsym(library, entries[i].name);
		if (*entries[i].address == NULL)
		{
			snprintf(error, error_bytes,
					 "the core library does not fit this extension: entry point %s is missing",
					 entries[i].name);
			return false;
		}
	}
	return true;
}

static bool
same_number(const char *what, uint32 ours, uint32 theirs, char *error, size_t error_bytes)
{
	if (ours != theirs)
		snprintf(error, error_bytes,
				 "the core library does not fit this extension: its %s is %u, expected %u",
				 what, theirs, ours);
	return ours == theirs;
}

static bool
shake_hands(const PgraftCore *core, char *error, size_t error_bytes)
{
	PgraftHandshake theirs = {0};
	int32		status = core->handshake(&theirs);

	if (status != PGRAFT_OK)
	{
		snprintf(error, error_bytes,
				 "the core library does not fit this extension: its handshake answered status %d",
				 status);
		return false;
	}
	return same_number("ABI version", PGRAFT_ABI_VERSION, theirs.abi_version,
					   error, error_bytes) &&
		same_number("size of the configuration", sizeof(PgraftConfig), theirs.config_bytes,
					error, error_bytes) &&
		same_number("size of the status", sizeof(PgraftStatus), theirs.status_bytes,
					error, error_bytes) &&
		same_number("size of a log record", sizeof(PgraftLogRecord), theirs.log_record_bytes,
					error, error_bytes);
}

/*
 * Loads and checks the core.  The caller has blocked the signals.
 */
bool
pgraft_core_load(PgraftCore *core, char *error, size_t error_bytes)
{
	char		path[MAXPGPATH];
	void	   *library;

	snprintf(path, sizeof(path), "%s/%s", pkglib_path, CORE_LIBRARY);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (library == NULL)
	{
		snprintf(error, error_bytes, "the core library cannot be loaded: %s", dlerror());
		return false;
	}
	return find_entry_points(library, core, error, error_bytes) &&
		shake_hands(core, error, error_bytes);
}
