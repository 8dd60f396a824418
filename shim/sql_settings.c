/*
 * sql_settings.c
 *	  What is to be said of the settings and of what was measured, for the view
 *	  pgraft.settings_check.
 *
 * While the worker answers, its core says all of it: what the worker has judged
 * of the settings (guc_findings.c) and what the core has measured.  That is what
 * the status page shows as well.  Otherwise the backend judges the settings
 * itself, and says why nothing was measured.
 *
 * Threading: the main thread of a backend.
 *
 * On failure: a worker that does not answer is a finding.  One that stops while it
 * is asked is an error, as everywhere.
 */
#include "pgraft.h"

#include "utils/builtins.h"

#define FINDING_COLUMNS 5

PG_FUNCTION_INFO_V1(pgraft_get_findings);

/* A value that is NULL is that of the setting. */
static void
add(ReturnSetInfo *rsinfo, PgraftFinding finding, const char *value)
{
	const char *texts[FINDING_COLUMNS] = {
		finding.subject, value, finding.severity, finding.text, finding.advice
	};
	Datum		values[FINDING_COLUMNS];
	bool		nulls[FINDING_COLUMNS];

	for (int i = 0; i < FINDING_COLUMNS; i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
add_without_worker(ReturnSetInfo *rsinfo, PgraftWorkerState worker)
{
	int32		count;
	PgraftFinding *findings = pgraft_judge_settings(&count);

	for (int32 i = 0; i < count; i++)
		add(rsinfo, findings[i], NULL);
	add(rsinfo,
		(PgraftFinding) {
			.subject = "worker",
			.severity = "critical",
			.text = "the cluster worker does not answer, so that nothing can be measured",
			.advice = "See the server log for the reason."
		},
		pgraft_state_name(worker));
}

static void
add_of_core(ReturnSetInfo *rsinfo)
{
	PgraftRequest request;
	PgraftResponse response;

	pgraft_request_init(&request, PGRAFT_REQ_FINDINGS, false, "check the settings");
	pgraft_call(&request, FINDING_COLUMNS, &response);
	pgraft_store_rows(&response, rsinfo);
}

Datum
pgraft_get_findings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PgraftWorkerState worker;

	(void) pgraft_shared();
	InitMaterializedSRF(fcinfo, 0);
	if (rsinfo->setDesc->natts != FINDING_COLUMNS)
		elog(ERROR, "pgraft: the function's declaration does not fit its library");
	worker = pgraft_worker_state(NULL);
	if (pgraft_worker_answers(worker))
		add_of_core(rsinfo);
	else
		add_without_worker(rsinfo, worker);
	return (Datum) 0;
}
