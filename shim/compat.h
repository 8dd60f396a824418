/*
 * compat.h
 *	  Every difference between PostgreSQL 14 and 18 that the shim meets.
 *
 * Only this file tests PG_VERSION_NUM, so that adding or dropping a version is
 * a change in one place and the other files read as if there were one version.
 *
 * Threading: macros and inline functions only; they follow their callers.
 *
 * On failure: what PostgreSQL does; nothing is added here.
 */
#ifndef PGRAFT_COMPAT_H
#define PGRAFT_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 140000 || PG_VERSION_NUM >= 190000
#error "pgraft supports PostgreSQL 14 to 18"
#endif

/* PostgreSQL's own macro changed its name and its place in 18. */
#define PGRAFT_NORETURN __attribute__((noreturn))

/* Shared memory is asked for in a hook since 15, in _PG_init before. */
#if PG_VERSION_NUM >= 150000
#define PGRAFT_HAS_SHMEM_REQUEST_HOOK 1
#else
#define PGRAFT_HAS_SHMEM_REQUEST_HOOK 0
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* A wait event set belongs to a resource owner since 17, to a context before. */
#if PG_VERSION_NUM >= 170000
#define pgraft_create_wait_event_set(n) CreateWaitEventSet(NULL, (n))
#else
#define pgraft_create_wait_event_set(n) CreateWaitEventSet(TopMemoryContext, (n))
#endif

/* Extensions can name their wait events since 17. */
#if PG_VERSION_NUM >= 170000
#define pgraft_new_wait_event(name) WaitEventExtensionNew(name)
#else
#define pgraft_new_wait_event(name) ((uint32) PG_WAIT_EXTENSION)
#endif

/* All settings, sorted by name; the array is a copy since 16. */
static inline struct config_generic **
pgraft_all_settings(int *count)
{
#if PG_VERSION_NUM >= 160000
	return get_guc_variables(count);
#else
	*count = GetNumConfigOptions();
	return get_guc_variables();
#endif
}

#if PG_VERSION_NUM < 150000
#define MAT_SRF_USE_EXPECTED_DESC 0x01

static inline TupleDesc
pgraft_result_desc(FunctionCallInfo fcinfo, ReturnSetInfo *rsinfo, bits32 flags)
{
	TupleDesc	desc;

	if (flags & MAT_SRF_USE_EXPECTED_DESC)
		return CreateTupleDescCopy(rsinfo->expectedDesc);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return desc;
}

/*
 * Sets up rsinfo for a set returned in a tuplestore, as the function of this
 * name does since 15.
 */
static inline void
InitMaterializedSRF(FunctionCallInfo fcinfo, bits32 flags)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		!(rsinfo->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->setDesc = pgraft_result_desc(fcinfo, rsinfo, flags);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
											  false, work_mem);
	MemoryContextSwitchTo(old);
}
#endif

#endif							/* PGRAFT_COMPAT_H */
