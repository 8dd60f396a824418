/*
 * pgraft.c
 *	  Entry point of the extension: wires settings, shared memory and worker.
 *
 * Why it is hard: the library is also loaded without shared_preload_libraries
 * (CREATE EXTENSION, LOAD, a function call), when it is too late for settings,
 * shared memory and the worker.  Nothing is wired then; the functions find no
 * shared memory and say what to do.
 *
 * Threading: the postmaster's only thread, before any child exists.
 *
 * On failure: a wrong setting raises an error, which stops the server's start.
 */
#include "pgraft.h"

PG_MODULE_MAGIC;

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	pgraft_define_settings();
	pgraft_check_settings();
	pgraft_shmem_init();

	/* A server under pg_upgrade must not take part in the cluster. */
	if (!IsBinaryUpgrade)
		pgraft_register_worker();
}
