/*
 * hook_probe.c
 *	  Another extension that uses the hooks pgraft uses, and says when they are
 *	  called.
 *
 * Tests preload it before pgraft, so that its hooks are called only if pgraft
 * hands on what it took over.
 *
 * Threading: the postmaster.
 *
 * On failure: nothing can fail.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static void
at_startup(void)
{
	elog(LOG, "hook probe: startup");
}

#if PG_VERSION_NUM >= 150000
static void
at_request(void)
{
	elog(LOG, "hook probe: request");
}
#endif

void
_PG_init(void)
{
#if PG_VERSION_NUM >= 150000
	shmem_request_hook = at_request;
#else
	elog(LOG, "hook probe: request");
#endif
	shmem_startup_hook = at_startup;
}
