/*
 * The handshake of a test's core that fits the shim.
 */
#include "pgraft_abi.h"

int32_t		pgraft_core_handshake(PgraftHandshake *out);

int32_t
pgraft_core_handshake(PgraftHandshake *out)
{
	out->abi_version = PGRAFT_ABI_VERSION;
	out->config_bytes = sizeof(PgraftConfig);
	out->status_bytes = sizeof(PgraftStatus);
	out->log_record_bytes = sizeof(PgraftLogRecord);
	return PGRAFT_OK;
}
