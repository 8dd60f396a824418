/*
 * missing_entry_core.c
 *	  A core library whose handshake is right, but which lacks the entry point
 *	  pgraft_core_next_log.
 *
 * Tests install it as pgraft_core.so.  The shim must find out before it calls
 * anything: a call through the missing pointer would be a crash that restarts
 * the whole server.
 *
 * Threading: the worker's main thread.
 *
 * On failure: nothing can fail.
 */
#include "handshake.h"

int32_t		pgraft_core_start(const PgraftConfig *config, PgraftStatus *status);
int32_t		pgraft_core_reload(const PgraftConfig *config);
int32_t		pgraft_core_request_stop(void);

int32_t
pgraft_core_start(const PgraftConfig *config, PgraftStatus *status)
{
	status->epoch = config->epoch;
	status->state = PGRAFT_WORKER_RUNNING;
	return PGRAFT_OK;
}

int32_t
pgraft_core_reload(const PgraftConfig *config)
{
	return config->abi_version == PGRAFT_ABI_VERSION ? PGRAFT_OK : PGRAFT_ABI_MISMATCH;
}

int32_t
pgraft_core_request_stop(void)
{
	return PGRAFT_OK;
}
